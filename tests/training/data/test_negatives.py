"""Windows that are no activity: of every kind, finite, and never what a wearer at rest would give."""

import numpy as np
import pytest
from training.data import negatives

from hard.units import G_MS2


@pytest.mark.parametrize(("points", "rate_hz"), [(80, 20.0), (200, 20.0), (100, 50.0)])
def test_every_kind_is_drawn_at_any_size(points: int, rate_hz: float) -> None:
    drawn = negatives.windows(403, points, rate_hz, np.random.default_rng(0))
    assert drawn.shape == (403, points, 3)
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert (drawn == 0).all(axis=(1, 2)).any()  # a dead sensor
    assert (np.abs(drawn).max(axis=(1, 2)) > 40).any()  # a catch


def test_none_is_a_wearer_at_rest() -> None:
    drawn = negatives.windows(2000, 80, 20.0, np.random.default_rng(1)).astype(float)
    still = drawn.std(axis=1).max(axis=1) < 0.15
    length = np.linalg.norm(drawn.mean(axis=1), axis=1)
    assert still.any()
    assert (np.abs(length[still] - G_MS2) > 2).all()


def test_the_same_seed_draws_the_same() -> None:
    first, second = (negatives.windows(40, 80, 20.0, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)
