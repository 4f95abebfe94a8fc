"""The torch backend's scorer on a tiny T5 with random weights, with prompts of any length."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hard.model.labels import LabelTree, label_tree
from hard.model.tokens import PAD_ID, Ids

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from hard.model.scorer_torch import TorchScorer, label_scores  # noqa: E402  (needs torch)

LABELS = [[5, 6, 1], [5, 7, 1], [5, 6, 8, 1], [9, 1]]  # with common prefixes


@pytest.fixture(scope="module")
def tiny() -> Any:
    torch.manual_seed(0)
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "vocab_size": 12}
    config = transformers.T5Config(**shape, decoder_start_token_id=0, initializer_factor=3.0)
    return transformers.T5ForConditionalGeneration(config).eval()


def tree() -> LabelTree:
    return label_tree(LABELS, [str(label) for label in LABELS])


def prompt_ids(rows: int, length: int, longest: int) -> tuple[Ids, Ids]:
    ids = np.full((rows, longest), PAD_ID, dtype=np.int64)
    ids[:, :length] = np.random.default_rng(0).integers(2, 12, (rows, length))
    mask = np.zeros_like(ids)
    mask[:, :length] = 1
    return ids, mask


def scores(model: Any, ids: Ids, mask: Ids) -> np.ndarray:
    with torch.inference_mode():
        return label_scores(model, tree(), torch.from_numpy(ids), torch.from_numpy(mask)).numpy()


def test_padding_changes_no_score(tiny: Any) -> None:
    bare = scores(tiny, *prompt_ids(6, 9, longest=9))
    padded = scores(tiny, *prompt_ids(6, 9, longest=40))
    np.testing.assert_allclose(padded, bare, rtol=1e-4, atol=1e-4)
    assert np.ptp(bare, axis=0).min() > 1e-3  # the prompts matter


def test_scores_are_the_decoder_s_own_over_the_label_set(tiny: Any) -> None:
    ids, mask = prompt_ids(4, 9, longest=9)
    expected = np.zeros((4, len(LABELS)))
    for (k, label), i in product(enumerate(LABELS), range(4)):
        for at, token in enumerate(label):
            followers = sorted({other[at] for other in LABELS if other[:at] == label[:at]})
            with torch.inference_mode():
                decoded = torch.tensor([[0, *label[:at]]])
                logits = tiny(input_ids=torch.from_numpy(ids[i : i + 1]), decoder_input_ids=decoded).logits[0, -1]
            expected[i, k] += torch.log_softmax(logits[followers], dim=0)[followers.index(token)].item()
    found = scores(tiny, ids, mask)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)


def test_a_saved_checkpoint_scores_the_same(tiny: Any, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    ids, mask = prompt_ids(5, 7, longest=11)
    np.testing.assert_allclose(
        TorchScorer(tmp_path, tree()).score(ids, mask).labels, scores(tiny, ids, mask), atol=1e-6
    )
