"""The samples before a window: those of the same run, whatever the hop, and none where there are too few."""

from __future__ import annotations

import numpy as np
import pytest

from hard.motion.recent import Recent
from hard.motion.windows import RawWindow

RATE_HZ, POINTS = 20.0, 80
STREAM = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32)


def window(first: int, *, start: float = 0.0, edge: float = 0.0) -> RawWindow:
    """The window from sample `first` on of STREAM, with `edge` added to its first and last point."""
    xyz = STREAM[first : first + POINTS].copy()
    xyz[[0, -1]] += np.float32(edge)
    return RawWindow(start + first / RATE_HZ, start + (first + POINTS) / RATE_HZ, xyz, 1.0)


@pytest.mark.parametrize("hop", [1, 10, 20, 40, 60, 80])
def test_before_a_window_stand_the_samples_before_it(hop: int) -> None:
    recent = Recent()
    for first in range(0, 400, hop):
        before = recent.before(window(first), RATE_HZ)
        expected = STREAM[first - POINTS : first] if first >= POINTS else np.empty((0, 3))
        np.testing.assert_array_equal(before, expected)


def test_points_at_the_ends_of_windows_are_those_of_the_window_that_has_them_inside() -> None:
    recent = Recent()
    for first in range(0, 180, 20):
        before = recent.before(window(first, edge=5.0), RATE_HZ)
    np.testing.assert_array_equal(before[1:], STREAM[81:160])
    np.testing.assert_array_equal(before[0], STREAM[80])


def test_a_gap_a_step_back_and_another_grid_begin_anew() -> None:
    for first, start in ((480, 0.0), (60, 0.0), (160, 0.013)):
        recent = Recent()
        for known in range(0, 160, 20):
            recent.before(window(known), RATE_HZ)
        assert len(recent.before(window(first, start=start), RATE_HZ)) == 0


def test_a_window_that_was_left_out_leaves_no_hole() -> None:
    recent = Recent()
    for first in (0, 20, 60, 100):
        before = recent.before(window(first), RATE_HZ)
    np.testing.assert_array_equal(before, STREAM[20:100])


def test_a_restored_device_goes_on() -> None:
    recent, again = Recent(), Recent()
    for first in range(0, 100, 20):
        recent.before(window(first), RATE_HZ)
    again.restore(recent.state())
    np.testing.assert_array_equal(again.before(window(100), RATE_HZ), STREAM[20:100])
