"""Temperature makes confidence honest."""

import numpy as np
import pytest
from training.results import confidence


def test_the_temperature_that_spoilt_the_scores_is_found_again() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (20_000, 4))
    chances = confidence.probabilities(honest, 1.0)
    truth = (chances.cumsum(axis=1) > rng.random((len(chances), 1))).argmax(axis=1)
    assert confidence.fit_temperature(honest * 2.5, truth) == pytest.approx(2.5, rel=0.05)
    right = chances.argmax(axis=1) == truth
    assert confidence.calibration_error(chances.max(axis=1), right) < 0.02
    boastful = confidence.probabilities(honest * 2.5, 1.0)
    assert confidence.calibration_error(boastful.max(axis=1), right) > 0.1


def test_where_all_is_right_nothing_is_made_surer() -> None:
    scores = np.log(np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2]], dtype=np.float32))
    assert confidence.fit_temperature(scores, np.array([0, 1, 0])) == 1.0
    assert confidence.fit_temperature(scores, np.array([0, 1, 1])) > 1.0
