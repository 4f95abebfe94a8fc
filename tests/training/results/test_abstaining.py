"""The recommended threshold: as small as reaches the target, never so great that too few are accepted."""

import numpy as np
from training.results.abstaining import FLOOR, LEAST, TARGET, THRESHOLDS, curve, recommended


def test_coverage_falls_and_counts_what_is_accepted() -> None:
    confidence = np.array([0.2, 0.5, 0.8, 0.9])
    found = curve(confidence, np.array([False, True, False, True]))
    assert (np.diff(found.coverage) <= 0).all()
    at = int(np.argmin(np.abs(THRESHOLDS - 0.6)))
    assert (found.coverage[at], found.accuracy[at]) == (0.5, 0.5)
    assert found.accuracy[-1] == 1.0  # nothing is accepted, nothing is wrong


def test_the_smallest_threshold_that_reaches_the_target() -> None:
    confidence = np.concatenate((np.full(95, 0.9), np.full(5, 0.6)))
    right = np.concatenate((np.ones(95), np.zeros(5)))
    assert recommended(confidence, right) == 0.61


def test_never_below_a_half() -> None:
    """Where every label is right any threshold would do, but not for input that is no activity."""
    assert recommended(np.full(100, 0.9), np.ones(100)) == FLOOR


def test_the_share_accepted_is_the_limit_where_the_target_is_out_of_reach() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.45, 1, 2000)
    right = rng.random(2000) < 0.5
    threshold = recommended(confidence, right)
    assert (confidence >= threshold).mean() >= LEAST
    assert (confidence >= threshold + 0.01).mean() < LEAST
    assert right[confidence >= threshold].mean() < TARGET
