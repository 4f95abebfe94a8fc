"""A T5 and a label tree → `model.onnx`: token ids to label log probabilities as one static graph. Knows no text.

The forward is written by hand after transformers' T5 (Raffel 2020), so that a fixed prompt length folds: position bias
and everything the decoder computes from its own constant tokens are constants, and there is no mask. Norm weights are
multiplied into the matrices behind them, q, k and v are one matrix, and of the output matrix only those rows are kept
that a label's token can take.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hard.model.labels import LabelTree
from hard.model.scorer_onnx import OnnxScorer
from hard.model.scorer_torch import label_scores
from hard.model.tokens import PAD_ID
from hard.records import Singles
from training.examples import Examples

MASKED = -1e9  # added to the attention score of padding
OPSET = 17


class Norm(nn.Module):
    """Root mean square norm without its weight, which lies in the matrix behind it."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


class FeedForward(nn.Module):
    """Plain or gated, with the model's own activation."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        dense, scale = layer.DenseReluDense, layer.layer_norm.weight
        self.norm, self.act = Norm(layer.layer_norm.variance_epsilon), dense.act
        gated = hasattr(dense, "wi_0")
        self.inward = _matrix(dense.wi_0 if gated else dense.wi, scale)
        self.gate = _matrix(dense.wi_1, scale) if gated else None
        self.outward = _matrix(dense.wo)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        inner = self.act(y @ self.inward)
        return x + (inner if self.gate is None else inner * (y @ self.gate)) @ self.outward


class SelfAttention(nn.Module):
    """`bias` (1, H, L, L) or (B, H, L, L) is position and mask together."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        own, scale = layer.SelfAttention, layer.layer_norm.weight
        self.norm, self.heads = Norm(layer.layer_norm.variance_epsilon), own.n_heads
        self.qkv = nn.Parameter(torch.cat([_matrix(m, scale) for m in (own.q, own.k, own.v)], dim=1))
        self.o = _matrix(own.o)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (_split(part, self.heads) for part in (self.norm(x) @ self.qkv).chunk(3, dim=-1))
        return x + _joined(torch.softmax(q @ k.transpose(2, 3) + bias, dim=-1) @ v) @ self.o


class CrossAttention(nn.Module):
    """Queries of the decoder on the encoder's output, whose keys and values serve every branch."""

    def __init__(self, layer: Any, encoder_norm: Tensor) -> None:
        super().__init__()
        own, scale = layer.EncDecAttention, layer.layer_norm.weight
        self.norm, self.heads = Norm(layer.layer_norm.variance_epsilon), own.n_heads
        self.q, self.o = _matrix(own.q, scale), _matrix(own.o)
        self.kv = nn.Parameter(torch.cat([_matrix(m, encoder_norm) for m in (own.k, own.v)], dim=1))

    def memory(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, L, d)."""
        k, v = (encoded @ self.kv).chunk(2, dim=-1)
        return _split(k, self.heads), _split(v, self.heads)

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], bias: Tensor | None) -> Tensor:
        scores = _split(self.norm(x) @ self.q, self.heads) @ memory[0].transpose(2, 3)
        weights = torch.softmax(scores if bias is None else scores + bias, dim=-1)
        return x + _joined(weights @ memory[1]) @ self.o


class LabelScorer(nn.Module):
    """`ids` (B, L) int64 and, where prompts differ in length, `mask` (B, L) → label log probabilities (B, K).

    With `length`, every prompt has so many tokens and `mask` is not taken.
    """

    def __init__(self, model: Any, tree: LabelTree, length: int | None) -> None:
        super().__init__()
        config = model.config
        self.tree, self.length = tree, length
        self.embedding = nn.Parameter(model.shared.weight.detach().clone())
        encoder, decoder = model.encoder, model.decoder
        self.distances = config.relative_attention_max_distance
        self.positions = nn.Parameter(_distance_bias(encoder, self.distances))
        self.encoder_attention = nn.ModuleList(SelfAttention(block.layer[0]) for block in encoder.block)
        self.encoder_forward = nn.ModuleList(FeedForward(block.layer[1]) for block in encoder.block)
        self.encoder_norm = Norm(encoder.final_layer_norm.variance_epsilon)
        scale = encoder.final_layer_norm.weight
        self.decoder_attention = nn.ModuleList(SelfAttention(block.layer[0]) for block in decoder.block)
        self.decoder_cross = nn.ModuleList(CrossAttention(block.layer[1], scale) for block in decoder.block)
        self.decoder_forward = nn.ModuleList(FeedForward(block.layer[2]) for block in decoder.block)
        self.decoder_norm = Norm(decoder.final_layer_norm.variance_epsilon)
        start = config.decoder_start_token_id if config.decoder_start_token_id is not None else PAD_ID
        shrink = config.d_model**-0.5 if config.scale_decoder_outputs else 1.0
        self.prefixes, self.biases, self.heads = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for branch in tree.branches:
            tokens = [start, *branch.prefix]
            self.prefixes.append(nn.Parameter(self.embedding[tokens].detach()[None]))
            self.biases.append(nn.Parameter(_causal_bias(decoder, len(tokens))))
            rows = model.lm_head.weight[list(branch.following)] * decoder.final_layer_norm.weight * shrink
            self.heads.append(nn.Parameter(rows.detach().T.contiguous()))

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        padding = None if mask is None else (1.0 - mask.to(torch.float32))[:, None, None, :] * MASKED
        encoded = self._encode(ids, padding)
        memories = [cross.memory(encoded) for cross in self.decoder_cross]  # type: ignore[operator]
        steps = [
            torch.log_softmax(self._decode(i, memories, padding) @ head, dim=-1) for i, head in enumerate(self.heads)
        ]
        scores = []
        for way in self.tree.ways:
            taken = [steps[branch][:, token : token + 1] for branch, token in way]
            scores.append(sum(taken[1:], taken[0]))
        return torch.cat(scores, dim=1)

    def _encode(self, ids: Tensor, padding: Tensor | None) -> Tensor:
        x = self.embedding[ids]
        length = ids.shape[1] if self.length is None else self.length
        at = torch.arange(length)
        distance = (at[None, :] - at[:, None]).clamp(-self.distances, self.distances) + self.distances
        bias = self.positions[distance].permute(2, 0, 1)[None]
        if padding is not None:
            bias = bias + padding
        for attention, forward in zip(self.encoder_attention, self.encoder_forward, strict=True):
            x = forward(attention(x, bias))
        return self.encoder_norm(x)  # type: ignore[no-any-return]

    def _decode(self, branch: int, memories: list[tuple[Tensor, Tensor]], padding: Tensor | None) -> Tensor:
        """The decoder's last position (B, D) after the tokens of a branch; batch size 1 until it meets the encoder."""
        x, bias = self.prefixes[branch], self.biases[branch]
        layers = zip(self.decoder_attention, self.decoder_cross, self.decoder_forward, memories, strict=True)
        for attention, cross, forward, memory in layers:
            x = forward(cross(attention(x, bias), memory, padding))
        return self.decoder_norm(x[:, -1])  # type: ignore[no-any-return]


def export(model: Any, tree: LabelTree, length: int | None, path: Path) -> LabelScorer:
    """Writes the graph of `model` to `path`; `length` as in `LabelScorer`."""
    scorer = LabelScorer(model.cpu().float().eval(), tree, length).eval()
    ids = torch.ones((2, length or 7), dtype=torch.int64)
    names = ["ids"] if length is not None else ["ids", "mask"]
    batch = {0: "B"} if length is not None else {0: "B", 1: "L"}
    with warnings.catch_warnings(), torch.no_grad():
        # The newer exporter needs onnxscript and leaves a graph that ONNX Runtime folds less.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\..*")
        warnings.filterwarnings("ignore", message=".*legacy TorchScript-based ONNX export.*")
        torch.onnx.export(
            scorer,
            (ids,) if length is not None else (ids, torch.ones_like(ids)),
            str(path),
            input_names=names,
            output_names=["scores"],
            dynamic_axes={**dict.fromkeys(names, batch), "scores": {0: "B"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return scorer


def compare(model: Any, tree: LabelTree, path: Path, examples: Examples, batch: int = 256) -> tuple[Singles, float]:
    """Scores (N, K) of `examples` by the graph at `path`, and their greatest distance from transformers' own.

    Log probabilities beyond -1 count relative to their size: single precision has no more digits.
    """
    graph = OnnxScorer(path)
    parts, apart = [], 0.0
    for i in range(0, len(examples), batch):
        ids, mask = examples.ids[i : i + batch], examples.mask[i : i + batch]
        with torch.inference_mode():
            own = label_scores(model, tree, torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        parts.append(graph.score(ids, mask))
        apart = max(apart, float((np.abs(own - parts[-1]) / np.maximum(1, np.abs(own))).max()))
    return np.concatenate(parts), apart


def _matrix(linear: nn.Linear, scale: Tensor | None = None) -> nn.Parameter:
    """A linear layer as the right factor (in, out), with the weight of the norm before it."""
    weight = linear.weight if scale is None else linear.weight * scale
    return nn.Parameter(weight.detach().T.contiguous())


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, L, H·d) → (B, H, L, d)"""
    return x.unflatten(-1, (heads, x.shape[-1] // heads)).transpose(1, 2)


def _joined(x: Tensor) -> Tensor:
    """(B, H, L, d) → (B, L, H·d)"""
    return x.transpose(1, 2).flatten(2)


def _distance_bias(stack: Any, distances: int) -> Tensor:
    """The encoder's position bias (2·distances + 1, H) by key minus query position; constant beyond ± distances."""
    own = stack.block[0].layer[0].SelfAttention
    apart = torch.arange(-distances, distances + 1)
    buckets = own._relative_position_bucket(
        apart, bidirectional=True, num_buckets=own.relative_attention_num_buckets, max_distance=distances
    )
    return own.relative_attention_bias(buckets).detach().float()  # type: ignore[no-any-return]


def _causal_bias(stack: Any, length: int) -> Tensor:
    """The decoder's position bias and causal mask (1, H, length, length)."""
    own = stack.block[0].layer[0].SelfAttention
    bias = own.compute_bias(length, length).detach().float()
    return bias + torch.full((length, length), MASKED).triu(1)  # type: ignore[no-any-return]
