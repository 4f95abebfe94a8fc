"""Times of files: units, whole seconds, newest first, counts of samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hard.recordings.times import MAX_ABS_TIME_S, ascending, in_seconds, is_count, spread, time_unit_of

STEADY = 1_700_000_000 + np.arange(600) / 50


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_the_step_decides_the_unit_also_of_falling_and_of_shared_times(unit: str, scale: float) -> None:
    for time in (STEADY, STEADY[::-1], np.floor(STEADY), np.append(STEADY, np.nan)):
        assert time_unit_of(time * scale) == unit


def test_whole_seconds_are_spread_by_how_many_share_one() -> None:
    np.testing.assert_allclose(spread(np.floor(STEADY)), STEADY, atol=1e-6)


def test_an_incomplete_first_second_ends_where_the_next_begins_and_an_incomplete_last_is_not_stretched() -> None:
    np.testing.assert_allclose(spread(np.floor(STEADY[30:-20])), STEADY[30:-20], atol=1e-6)


def test_a_rate_spaces_the_samples_of_one_time() -> None:
    bursts = np.repeat([0.0, 10.0, 20.0], 50)
    np.testing.assert_allclose(np.diff(spread(bursts, 50.0))[:49], 0.02)
    np.testing.assert_allclose(np.diff(spread(np.zeros(100), 50.0)), 0.02)


def test_fine_times_stay_also_with_some_repeated() -> None:
    time = STEADY.copy()
    time[10] = time[9]
    assert spread(time) is time


@given(st.integers(4, 200), st.integers(0, 199), st.integers(2, 8))
def test_spread_times_rise_and_stay_within_their_second(rate: int, first: int, seconds: int) -> None:
    time = (np.arange(rate * seconds) + min(first, rate - 1)) / rate
    found = spread(np.floor(time))
    assert (np.floor(found + 1e-9) == np.floor(time)).all()
    assert (np.diff(found) >= 0).all()


def test_newest_first_is_not_ascending() -> None:
    assert ascending(STEADY)
    assert not ascending(STEADY[::-1])
    assert ascending(np.zeros(3))


def test_whole_numbers_from_zero_or_one_count_samples() -> None:
    assert is_count(np.arange(100.0))
    assert is_count(np.delete(np.arange(1.0, 100.0), [4, 5]))
    for time in (np.arange(5.0), np.arange(100.0) + 7, np.arange(100.0) / 50, np.arange(100.0) * 20):
        assert not is_count(time)


def test_what_lies_beyond_all_years_is_not_plausible() -> None:
    time, plausible = in_seconds(np.array([0.0, 1e3, np.nan, 2e3 * MAX_ABS_TIME_S]), "ms")
    assert time[1] == 1
    assert plausible.tolist() == [True, True, False, False]
