"""The compiled graph agrees with transformers' own forward, for every kind of T5 and of label set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.t5 import KINDS, model_of, prompts
from training.export.export import export, input_ranges

from hard.model.labels import label_tree
from hard.model.scorer_onnx import OnnxScorer
from hard.model.scorer_torch import TorchScorer, label_scores
from hard.model.tokens import Ids
from hard.records import Float32Array

# First tokens differ; prefixes shared once; shared twice, of different length.
LABEL_TOKENS = {
    "apart": [[5, 1], [6, 1], [7, 1]],
    "one prefix": [[5, 8, 1], [5, 9, 1], [7, 1]],
    "two prefixes": [[5, 8, 11, 1], [5, 8, 12, 1], [5, 9, 1], [7, 10, 1], [7, 13, 14, 1], [15, 1]],
    "one begins another": [[5, 1], [5, 8, 1], [5, 8, 9, 1], [7, 1]],  # Walking, Walking upstairs
}


def mean_of_rows(model: Any, ids: Ids, mask: Ids) -> Float32Array:
    """The mean (B, D) of the encoder's output over each prompt's tokens."""
    with torch.no_grad():
        rows = model.encoder(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state.numpy()
    return np.stack([own[: n.sum()].mean(axis=0) for own, n in zip(rows, mask, strict=True)])


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
        scores, pooled = scorer.score(ids, mask)
        np.testing.assert_allclose(scores, own, atol=1e-4)
        np.testing.assert_allclose(pooled, mean_of_rows(model, ids, mask), atol=1e-4)
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
    batch, pooled = scorer.score(ids, mask)
    np.testing.assert_allclose(batch, own, atol=1e-4)
    np.testing.assert_allclose(pooled, mean_of_rows(model, ids, mask), atol=1e-4)
    for row, length in enumerate((33, 20, 9, 2)):
        alone = scorer.score(ids[row : row + 1, :length], mask[row : row + 1, :length]).labels
        np.testing.assert_allclose(batch[row], alone[0], atol=1e-4)


@pytest.mark.parametrize("tokens", LABEL_TOKENS)
def test_it_is_constrained_greedy_decoding(tmp_path: Path, tokens: str) -> None:
    """`generate` held to the label set takes at each branch what the scores say, with the same probability."""
    labels, model = LABEL_TOKENS[tokens], model_of("flan-t5")
    export(model, label_tree(labels, list("abcdef")[: len(labels)]), 30, tmp_path / "model.onnx")
    ids = prompts(20, 30)
    scores = OnnxScorer(tmp_path / "model.onnx").score(ids, np.ones_like(ids)).labels

    def allowed(_row: int, so_far: torch.Tensor) -> list[int]:
        written = so_far.tolist()[1:]
        after = {label[len(written)] for label in labels if label[: len(written)] == written and label != written}
        return sorted(after) or [0]

    given = model.generate(
        torch.from_numpy(ids), prefix_allowed_tokens_fn=allowed, max_new_tokens=4, do_sample=False, num_beams=1,
        output_scores=True, return_dict_in_generate=True, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    for row, sequence in enumerate(given.sequences[:, 1:].tolist()):
        written = sequence[: sequence.index(1) + 1]
        step = [torch.log_softmax(score[row], dim=-1)[token].item() for score, token in zip(given.scores, written)]  # noqa: B905
        assert scores[row, labels.index(written)] == pytest.approx(sum(step), abs=1e-4)
        assert written == greedy(np.exp(scores[row]), labels)


def greedy(probabilities: np.ndarray, labels: list[list[int]]) -> list[int]:
    """The label that is reached by taking the likeliest token at each step."""
    written: list[int] = []
    while written not in labels:
        here = [k for k, label in enumerate(labels) if label[: len(written)] == written]
        share: dict[int, float] = {}
        for k in here:
            token = labels[k][len(written)]
            share[token] = share.get(token, 0.0) + probabilities[k]
        written.append(max(share, key=share.__getitem__))
    return written


@pytest.mark.parametrize("width", [32, 256])
@pytest.mark.parametrize("length", [30, None])
def test_int8_is_near_and_keeps_rows_apart(tmp_path: Path, width: int, length: int | None) -> None:
    import onnx

    model, tree = model_of("flan-t5", width, size=0.15), label_tree(LABEL_TOKENS["two prefixes"], list("abcdef"))
    ids = prompts(64, 30)
    mask = np.ones_like(ids)
    if length is None:
        ids[::2, 20:], mask[::2, 20:] = 0, 0
    export(model, tree, length, tmp_path / "fp32.onnx")
    export(model, tree, length, tmp_path / "int8.onnx", input_ranges(model, tree, length, ids[:40], mask[:40]))
    exact, rough = OnnxScorer(tmp_path / "fp32.onnx"), OnnxScorer(tmp_path / "int8.onnx")
    apart = np.abs(np.exp(rough.score(ids, mask).labels) - np.exp(exact.score(ids, mask).labels))
    assert apart.max() < 0.2  # of a model of random weights
    assert apart.mean() < 0.02
    alone = np.concatenate([rough.score(ids[i : i + 1], mask[i : i + 1]).labels for i in range(64)])
    np.testing.assert_allclose(rough.score(ids, mask).labels, alone, atol=1e-4)
    pooled = [scorer.score(ids, mask).pooled for scorer in (exact, rough)]
    assert np.abs(pooled[1] - pooled[0]).mean() < 0.1 * np.abs(pooled[0]).mean()
    kinds = [node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node]
    # An encoder layer has one for q, k and v, one for o and three to feed forward.
    # A wide decoder's first layer has o and three, its second q, k and v, o, q, o and three.
    assert kinds.count("MatMulIntegerToFloat") == 5 + 5 + (4 + 7 if width == 256 else 0)


def test_what_is_greater_than_was_measured_is_clipped(tmp_path: Path) -> None:
    model, tree = model_of("flan-t5"), label_tree(LABEL_TOKENS["apart"], list("abc"))
    ids = prompts(50, 30)
    ranges = [(low / 4, high / 4) for low, high in input_ranges(model, tree, 30, ids, np.ones_like(ids))]
    export(model, tree, 30, tmp_path / "int8.onnx", ranges)
    scores = OnnxScorer(tmp_path / "int8.onnx").score(ids, np.ones_like(ids)).labels
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [1, 4, 16, 17, 37])
def test_a_batch_goes_by_parts_in_order(tmp_path: Path, threads: int, rows: int) -> None:
    model, tree = model_of("flan-t5"), label_tree(LABEL_TOKENS["one prefix"], list("abc"))
    export(model, tree, 30, tmp_path / "model.onnx")
    scorer, ids = OnnxScorer(tmp_path / "model.onnx", threads), prompts(rows, 30)
    alone = np.concatenate([scorer.score(ids[i : i + 1], ids[i : i + 1]).labels for i in range(rows)])
    np.testing.assert_allclose(scorer.score(ids, np.ones_like(ids)).labels, alone, atol=1e-5)


def test_an_activation_that_is_not_known_is_refused(tmp_path: Path) -> None:
    model = model_of("t5")
    model.config.dense_act_fn = "mish"
    with pytest.raises(ValueError, match="'mish'"):
        export(model, label_tree(LABEL_TOKENS["apart"], list("abc")), 30, tmp_path / "model.onnx")


def test_a_saved_model_loads_as_itself(tmp_path: Path) -> None:
    """transformers 5.0 to 5.2 mis-scaled FLAN-T5's decoder after loading."""
    model, tree = model_of("flan-t5"), label_tree(LABEL_TOKENS["one prefix"], list("abc"))
    model.save_pretrained(tmp_path)
    ids = prompts(3, 12)
    mask = np.ones_like(ids)
    own = label_scores(model, tree, torch.from_numpy(ids), torch.from_numpy(mask)).detach().numpy()
    scores, pooled = TorchScorer(tmp_path, tree).score(ids, mask)
    np.testing.assert_allclose(scores, own, atol=1e-5)
    np.testing.assert_allclose(pooled, mean_of_rows(model, ids, mask), atol=1e-5)


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
