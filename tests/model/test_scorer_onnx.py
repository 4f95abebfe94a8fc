"""The onnx backend's scorer on the shipped graph: any batch size and number of threads give the same scores."""

from __future__ import annotations

import numpy as np
import pytest

from hard.model import bundle
from hard.model.classifier import load
from hard.model.scorer_onnx import CHUNK_WINDOWS, MIN_CHUNK_WINDOWS, OnnxScorer
from hard.model.tokens import Ids

BUNDLE = bundle.read()
GRAPH = BUNDLE.path / bundle.GRAPHS["fp32"]


def prompts(rows: int) -> tuple[Ids, Ids]:
    """Token ids and mask (B, L) of prompts with random levels."""
    random = np.random.default_rng(rows)
    return load().tokens(random.normal(0, 3, (rows, len(BUNDLE.manifest.prompt.features))).astype(np.float32))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [1, MIN_CHUNK_WINDOWS, CHUNK_WINDOWS, CHUNK_WINDOWS + 1, 3 * CHUNK_WINDOWS + 5])
def test_chunks_and_threads_change_no_score(rows: int, threads: int) -> None:
    ids, mask = prompts(rows)
    scores = OnnxScorer(GRAPH, threads).score(ids, mask).labels
    one = OnnxScorer(GRAPH)
    single = np.concatenate([one.score(ids[i : i + 1], mask[i : i + 1]).labels for i in range(rows)])
    assert scores.shape == (rows, len(BUNDLE.manifest.labels))
    np.testing.assert_allclose(scores, single, atol=1e-4)


def test_scores_are_log_probabilities() -> None:
    scores = OnnxScorer(GRAPH).score(*prompts(8)).labels
    assert scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(scores.astype(float)).sum(axis=1), 1, atol=1e-4)
