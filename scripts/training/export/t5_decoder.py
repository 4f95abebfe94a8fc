"""A T5's decoder over the label tree, written into a graph: the encoder's output to label log probabilities (B, K).

It runs once, over all N nodes of the tree, each of which sees its own ancestors. What it makes of its own tokens before
it meets the encoder is constant, and self-attention of the start token alone is one matrix. Keys and values of the
encoder's output are never made: a node's query goes through the key matrix instead, and what it attends to through the
value matrix afterwards, which is once a node and not once a token of the prompt.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hard.model.labels import LabelTree
from hard.model.tokens import PAD_ID
from training.export.onnx_graph import OWN
from training.export.t5_layers import MASKED, Array, Layers, Product, array, matrix

WIDE = 256  # a narrower decoder gains nothing by int8: it has one row a window


class T5Decoder:
    """`padding` (B, L) is 0, or far below where a prompt has ended; None where all have one length."""

    def __init__(self, layers: Layers, model: Any, tree: LabelTree, padding: str | None) -> None:
        self._layers, self._model, self._tree, self._g = layers, model, tree, layers.graph
        self._mask = None if padding is None else self._g.one("Unsqueeze", padding, self._g.shape(1))
        self._product: Product = self._g.product if layers.width >= WIDE else self._exact
        self._encoder_norm = array(model.encoder.final_layer_norm.weight)
        self._nodes = sorted({b.prefix[:i] for b in tree.branches for i in range(len(b.prefix) + 1)}, key=len)
        self._bias = self._tree_bias()

    def decode(self, encoded: str) -> str:
        """`encoded` (B, L, D), as the encoder gives it → (B, K)."""
        g, layers = self._g, self._layers
        x = y = ""
        for i, block in enumerate(self._model.decoder.block):
            own, cross, forward = block.layer
            to_query = matrix(cross.EncDecAttention.q, array(cross.layer_norm.weight))
            to_key = self._heads_of(matrix(cross.EncDecAttention.k, self._encoder_norm))  # (D, H, d)
            if i == 0:
                known = self._known(own)
                query = self._heads_of(layers.normed(known) @ to_query)  # (N, H, d)
                asked = np.einsum("nhd,whd->whn", query, to_key).reshape(layers.width, -1)
                scores = g.one("Transpose", g.one("MatMul", encoded, g.constant(asked)), perm=[0, 2, 1])
                x = g.one("Add", self._met(scores, encoded, cross.EncDecAttention), g.constant(known[None]))
                y = layers.norm(x)
            else:
                x, y = layers.add_and_norm(x, self._self_attention(y, own))
                asked_by = self._asked(self._product(y, to_query), to_key.transpose(1, 2, 0))
                scores = g.one("FusedMatMul", asked_by, encoded, domain=OWN, transB=1)
                x, y = layers.add_and_norm(x, self._met(scores, encoded, cross.EncDecAttention))
            x, y = layers.add_and_norm(x, layers.feed_forward(y, forward, self._product))
        return self._scores(y)

    def _known(self, layer: Any) -> Array:
        """The nodes (N, D) after the first self-attention."""
        start, heads = self._model.config.decoder_start_token_id, self._layers.heads
        last = [node[-1] if node else PAD_ID if start is None else start for node in self._nodes]
        x = array(self._model.shared.weight)[last]
        own, y = layer.SelfAttention, self._layers.normed(x)
        q, k, v = (self._heads_of(y @ matrix(m, array(layer.layer_norm.weight))) for m in (own.q, own.k, own.v))
        scores = np.einsum("nhd,mhd->hnm", q, k) + self._bias[0]
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        taken = np.einsum("hnm,mhd->nhd", weights, v).reshape(len(x), heads * self._layers.d)
        return np.asarray(x + taken @ matrix(own.o))

    def _self_attention(self, y: str, layer: Any) -> str:
        own, scale, g = layer.SelfAttention, array(layer.layer_norm.weight), self._g
        if len(self._nodes) == 1:
            return self._product(y, matrix(own.v, scale) @ matrix(own.o))
        q, k, v = self._layers.split(y, [matrix(part, scale) for part in (own.q, own.k, own.v)], self._product)
        return self._product(self._layers.attend(q, k, v, g.constant(self._bias)), matrix(own.o))

    def _asked(self, query: str, to_key: Array) -> str:
        """Queries (B, N, H·d) → (B, H·N, D), which meet the encoder's output as if they met its keys."""
        g, n, layers = self._g, len(self._nodes), self._layers
        by_head = g.one("Reshape", query, g.shape(-1, n, layers.heads, layers.d))
        by_head = g.one("Reshape", g.one("Transpose", by_head, perm=[2, 0, 1, 3]), g.shape(layers.heads, -1, layers.d))
        asked = g.one("MatMul", by_head, g.constant(to_key))  # (H, B·N, D)
        asked = g.one("Reshape", asked, g.shape(layers.heads, -1, n, layers.width))
        return g.one(
            "Reshape", g.one("Transpose", asked, perm=[1, 0, 2, 3]), g.shape(-1, layers.heads * n, layers.width)
        )

    def _met(self, scores: str, encoded: str, cross: Any) -> str:
        """Attention `scores` (B, H·N, L) → what the nodes take from the encoder's output: (B, N, D)."""
        g, n, layers = self._g, len(self._nodes), self._layers
        if self._mask is not None:
            scores = g.one("Add", scores, self._mask)
        taken = g.one("MatMul", g.one("Softmax", scores, axis=-1), encoded)  # (B, H·N, D)
        taken = g.one("Reshape", taken, g.shape(-1, layers.heads, n, layers.width))
        taken = g.one("Reshape", g.one("Transpose", taken, perm=[1, 0, 2, 3]), g.shape(layers.heads, -1, layers.width))
        to_value = self._heads_of(matrix(cross.v, self._encoder_norm)).transpose(1, 0, 2)  # (H, D, d)
        taken = g.one("MatMul", taken, g.constant(to_value))  # (H, B·N, d)
        taken = g.one("Reshape", taken, g.shape(layers.heads, -1, n, layers.d))
        taken = g.one("Reshape", g.one("Transpose", taken, perm=[1, 2, 0, 3]), g.shape(-1, n, layers.heads * layers.d))
        return self._product(taken, matrix(cross.o))

    def _scores(self, y: str) -> str:
        """Nodes (B, N, D) → labels (B, K): a label's score is the sum along its way."""
        g, decoder, config = self._g, self._model.decoder, self._model.config
        shrink = config.d_model**-0.5 if config.scale_decoder_outputs else 1.0
        rows = array(self._model.lm_head.weight) * array(decoder.final_layer_norm.weight) * np.float32(shrink)
        steps = []
        for branch in self._tree.branches:
            node = g.one("Gather", y, g.constant(np.array(self._nodes.index(branch.prefix))), axis=1)  # (B, D)
            logits = g.one("MatMul", node, g.constant(rows[list(branch.following)].T))
            steps.append(g.one("LogSoftmax", logits, axis=-1))
        begins = np.cumsum([0, *(len(branch.following) for branch in self._tree.branches)])
        along = np.zeros((begins[-1], len(self._tree.paths)))
        for label, path in enumerate(self._tree.paths):
            along[[begins[branch] + token for branch, token in path], label] = 1
        together = g.one("Concat", *steps, axis=1) if len(steps) > 1 else steps[0]
        return g.one("MatMul", together, g.constant(along)) if len(steps) > 1 else together

    def _tree_bias(self) -> Array:
        """Position bias of the nodes and mask of all that aren't ancestors: (1, H, N, N)."""
        nodes, own = self._nodes, self._model.decoder.block[0].layer[0].SelfAttention
        depth = np.array([len(node) for node in nodes])
        by_depth = array(own.compute_bias(depth.max() + 1, depth.max() + 1))
        above = np.array([[node[: len(other)] == other for other in nodes] for node in nodes])
        return np.asarray(by_depth[:, :, depth[:, None], depth] + np.where(above, 0, np.float32(MASKED)))

    def _exact(self, x: str, weight: Array) -> str:
        return self._g.one("MatMul", x, self._g.constant(weight))

    def _heads_of(self, rows: Array) -> Array:
        return rows.reshape(-1, self._layers.heads, self._layers.d)
