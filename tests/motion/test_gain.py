"""Windows normalised by gait amplitude: half of the way, bounded, unchanged where it isn't known."""

from __future__ import annotations

import numpy as np
import pytest

from hard.motion.gain import MAX_GAIN, gains, normalised

WINDOWS = np.random.default_rng(0).normal([0, 9.8, 0], [1, 2, 3], (4, 80, 3)).astype(np.float32)


def test_the_gain_is_the_square_root_of_the_ratio_and_bounded() -> None:
    assert gains([2.0, 4.0, 8.0, 0.1, 90.0], 4.0) == pytest.approx([2**0.5, 1, 0.5**0.5, MAX_GAIN, 1 / MAX_GAIN])


def test_an_unknown_gait_amplitude_changes_nothing() -> None:
    assert (gains([0.0, 0.0], 4.0) == 1).all()
    assert (gains([2.0, 8.0], 0.0) == 1).all()
    assert normalised(WINDOWS, np.ones(4, np.float32)) is WINDOWS


def test_normalising_changes_the_movement_and_not_the_mean() -> None:
    made = normalised(WINDOWS, np.array([0.7, 1, 1.2, 1.4], np.float32))
    np.testing.assert_allclose(made.mean(axis=1), WINDOWS.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(made.std(axis=1)[:, 1] / WINDOWS.std(axis=1)[:, 1], [0.7, 1, 1.2, 1.4], rtol=1e-4)
    assert made.dtype == np.float32
