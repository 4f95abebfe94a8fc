"""Temperature makes confidence match the share of right labels; the recommended threshold accepts as many as it may."""

import numpy as np
import pytest
from training.results import confidence
from training.results.confidence import FLOOR, LEAST, TARGET, THRESHOLDS, Certainty, auroc, curve, recommended


def test_the_temperature_that_spoilt_the_scores_is_found_again() -> None:
    rng = np.random.default_rng(0)
    calibrated = rng.normal(0, 2, (20_000, 4))
    chances = confidence.probabilities(calibrated, 1.0)
    truth = (chances.cumsum(axis=1) > rng.random((len(chances), 1))).argmax(axis=1)
    assert confidence.fit_temperature(calibrated * 2.5, truth) == pytest.approx(2.5, rel=0.05)
    right = chances.argmax(axis=1) == truth
    assert confidence.calibration_error(chances.max(axis=1), right) < 0.02
    overconfident = confidence.probabilities(calibrated * 2.5, 1.0)
    assert confidence.calibration_error(overconfident.max(axis=1), right) > 0.1


def test_where_all_labels_are_right_the_temperature_stays_1() -> None:
    scores = np.log(np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2]], dtype=np.float32))
    assert confidence.fit_temperature(scores, np.array([0, 1, 0])) == 1.0
    assert confidence.fit_temperature(scores, np.array([0, 1, 1])) > 1.0


def test_coverage_falls_and_counts_what_is_accepted() -> None:
    found = curve(np.array([0.2, 0.5, 0.8, 0.9]), np.array([False, True, False, True]))
    assert (np.diff(found.coverage) <= 0).all()
    at = int(np.argmin(np.abs(THRESHOLDS - 0.6)))
    assert (found.coverage[at], found.accuracy[at]) == (0.5, 0.5)
    assert found.accuracy[-1] == 1.0  # nothing is accepted, nothing is wrong


def test_the_smallest_threshold_that_reaches_the_target_is_recommended() -> None:
    sure = np.concatenate((np.full(95, 0.9), np.full(5, 0.6)))
    assert recommended(sure, np.arange(100) < 95) == 0.61


def test_the_recommended_threshold_is_never_below_a_half() -> None:
    """Where every label is right any threshold would do, but not for input that is no activity."""
    assert recommended(np.full(100, 0.9), np.ones(100, dtype=bool)) == FLOOR


def test_the_share_accepted_is_the_limit_where_the_target_is_out_of_reach() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.45, 1, 2000)
    right = rng.random(2000) < 0.5
    threshold = recommended(sure, right)
    assert (sure >= threshold).mean() >= LEAST
    assert (sure >= threshold + 0.01).mean() < LEAST
    assert right[sure >= threshold].mean() < TARGET


def test_abstaining_has_the_curve_and_what_is_accepted_of_no_activity() -> None:
    sure, right = np.array([0.55, 0.7, 0.9, 0.95]), np.array([False, True, True, True])
    found = confidence.abstaining(
        sure, right, 0.6, "by hand", {"all zeros": Certainty(np.array([0.1, 0.6, 0.7, 0.9]), np.array([1, 1, 1, 0.01]))}
    )
    assert (found.min_confidence, found.source) == (0.6, "by hand")
    assert found.no_activity == {"all zeros": 0.5}
    assert [point[0] for point in found.curve] == list(confidence.SHOWN)
    assert found.curve[2] == (0.6, 0.75, 1.0)


def test_auroc_is_how_likely_a_known_window_is_surer_and_a_tie_counts_half() -> None:
    assert auroc(np.array([0.9, 0.8]), np.array([0.1, 0.7])) == 1.0
    assert auroc(np.array([0.9, 0.2]), np.array([0.5])) == 0.5
    assert auroc(np.array([0.5, 0.5]), np.array([0.5, 0.9])) == 0.25
