"""The compiled graph agrees with transformers' own forward, for every kind of T5 and of label set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training.export import export
from transformers import T5Config, T5ForConditionalGeneration

from hard.model.labels import label_tree
from hard.model.scorer_onnx import OnnxScorer
from hard.model.scorer_torch import TorchScorer, label_scores

KINDS: dict[str, dict[str, Any]] = {
    "t5": {"feed_forward_proj": "relu"},
    "flan-t5": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "one decoder layer": {"feed_forward_proj": "gated-gelu", "num_decoder_layers": 1},
}
# First tokens differ; prefixes shared once; shared twice, of different length.
LABEL_TOKENS = {
    "apart": [[5, 1], [6, 1], [7, 1]],
    "one prefix": [[5, 8, 1], [5, 9, 1], [7, 1]],
    "two prefixes": [[5, 8, 11, 1], [5, 8, 12, 1], [5, 9, 1], [7, 10, 1], [7, 13, 14, 1], [15, 1]],
}


def model_of(kind: str) -> Any:
    torch.manual_seed(1)
    shape = {
        "d_model": 32,
        "d_kv": 8,
        "num_heads": 3,
        "d_ff": 40,
        "num_layers": 2,
        "relative_attention_max_distance": 20,
    }
    model = T5ForConditionalGeneration(T5Config(vocab_size=40, decoder_start_token_id=0, **shape, **KINDS[kind]))
    for parameter in model.parameters():  # norms too: their weights begin as ones and would hide a mistake
        torch.nn.init.normal_(parameter, mean=0.0 if parameter.dim() == 2 else 1.0, std=0.3)
    return model.eval()


def prompts(rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(0).integers(2, 40, (rows, length))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", LABEL_TOKENS)
def test_a_graph_of_fixed_length_agrees(tmp_path: Path, kind: str, tokens: str) -> None:
    model, tree = model_of(kind), label_tree(LABEL_TOKENS[tokens], list("abcdef")[: len(LABEL_TOKENS[tokens])])
    export(model, tree, 30, tmp_path / "model.onnx")
    scorer = OnnxScorer(tmp_path / "model.onnx")
    for rows in (1, 5):
        ids = prompts(rows, 30)
        mask = np.ones_like(ids)
        own = label_scores(model, tree, torch.from_numpy(ids), torch.from_numpy(mask)).detach().numpy()
        scores = scorer.score(ids, mask)
        np.testing.assert_allclose(scores, own, atol=1e-4)
        np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, atol=1e-4)
    assert scores.std(axis=0).max() > 0.01  # the prompts matter


@pytest.mark.parametrize("kind", ["t5", "flan-t5"])
def test_a_graph_of_any_length_agrees_and_padding_does_not_matter(tmp_path: Path, kind: str) -> None:
    model, tree = model_of(kind), label_tree(LABEL_TOKENS["two prefixes"], list("abcdef"))
    export(model, tree, None, tmp_path / "model.onnx")
    scorer = OnnxScorer(tmp_path / "model.onnx")
    ids = prompts(4, 33)
    mask = np.ones_like(ids)
    for row, length in enumerate((33, 20, 9, 2)):
        ids[row, length:], mask[row, length:] = 0, 0
    own = label_scores(model, tree, torch.from_numpy(ids), torch.from_numpy(mask)).detach().numpy()
    batch = scorer.score(ids, mask)
    np.testing.assert_allclose(batch, own, atol=1e-4)
    for row, length in enumerate((33, 20, 9, 2)):
        alone = scorer.score(ids[row : row + 1, :length], mask[row : row + 1, :length])
        np.testing.assert_allclose(batch[row], alone[0], atol=1e-4)


def test_a_saved_model_loads_as_itself(tmp_path: Path) -> None:
    """transformers 5.0 to 5.2 mis-scaled FLAN-T5's decoder after loading."""
    model, tree = model_of("flan-t5"), label_tree(LABEL_TOKENS["one prefix"], list("abc"))
    model.save_pretrained(tmp_path)
    ids = prompts(3, 12)
    mask = np.ones_like(ids)
    own = label_scores(model, tree, torch.from_numpy(ids), torch.from_numpy(mask)).detach().numpy()
    np.testing.assert_allclose(TorchScorer(tmp_path, tree).score(ids, mask), own, atol=1e-5)


def test_the_decoder_s_constants_fold(tmp_path: Path) -> None:
    """With one decoder layer and a fixed length, self-attention of the decoder is no node of the optimised graph."""
    import onnx
    import onnxruntime

    model, tree = model_of("one decoder layer"), label_tree(LABEL_TOKENS["apart"], list("abc"))
    export(model, tree, 30, tmp_path / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), options, providers=["CPUExecutionProvider"])
    softmaxes = [n for n in onnx.load(tmp_path / "folded.onnx").graph.node if n.op_type == "Softmax"]
    assert len(softmaxes) == 3  # two encoder layers and the cross attention
