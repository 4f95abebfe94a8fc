"""The clock: stamps for samples without time, the reported offset, a clock set back against late packets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hard.motion.clock import Clock
from hard.records import Float64Array, Samples

WALL = 1_700_000_000.0


def message(n: int, wall: float, time: Float64Array | None = None, rate_hz: float | None = None) -> Samples:
    return Samples("d", time, np.zeros((n, 3)), wall - WALL, wall, rate_hz)


def stamps(clock: Clock, arrivals: Float64Array, n: int, rate_hz: float | None = None) -> list[Float64Array]:
    return [clock.stamp(message(n, float(wall), rate_hz=rate_hz), 20.0, 1.0) for wall in arrivals]


def test_times_of_the_device_stay_unchanged() -> None:
    time = np.array([5.0, 3.0, 4.0])
    assert Clock().stamp(message(3, WALL, time), 20.0, 1.0) is time


def test_the_first_message_without_time_ends_at_its_arrival() -> None:
    np.testing.assert_allclose(Clock().stamp(message(3, WALL), 20.0, 1.0), WALL - np.array([0.1, 0.05, 0]))


def test_the_rate_in_a_message_wins_over_the_nominal_one() -> None:
    time = Clock().stamp(message(3, WALL, rate_hz=50.0), 20.0, 1.0)
    np.testing.assert_allclose(np.diff(time), 0.02, atol=1e-6)


@given(
    n=st.sampled_from([1, 5, 20]),
    error=st.floats(0.9, 1.1),
    jitter_s=st.floats(0, 0.08),
    seed=st.integers(0, 2**32),
)
def test_stamps_increase_regularly_and_follow_the_arrivals(n: int, error: float, jitter_s: float, seed: int) -> None:
    true_step = error / 20
    delay = jitter_s * np.random.default_rng(seed).uniform(0, 1, 200)
    arrivals = WALL + np.arange(200) * n * true_step + delay
    parts = stamps(Clock(), arrivals, n)
    time = np.concatenate(parts)
    steps = np.diff(time)
    assert (steps > 0).all()
    assert steps.max() < 1.0  # no gap where there was none
    late = len(steps) // 2  # once the rate is learnt
    assert abs(np.mean(steps[late:]) / true_step - 1) < 0.03
    assert np.abs([part[-1] - arrival for part, arrival in zip(parts, arrivals, strict=True)]).max() < 0.5


@pytest.mark.parametrize("true_hz", [16.0, 25.0, 50.0])
@pytest.mark.parametrize("n", [1, 20, 100])
def test_a_rate_far_from_the_nominal_one_is_learnt(true_hz: float, n: int) -> None:
    time = np.concatenate(stamps(Clock(), WALL + np.arange(300) * n / true_hz, n))
    assert (np.diff(time) > 0).all()
    np.testing.assert_allclose(np.diff(time)[len(time) // 2 :], 1 / true_hz, rtol=0.05)


def test_after_a_silence_stamps_start_again_at_the_arrival() -> None:
    _, after = stamps(Clock(), np.array([WALL, WALL + 30]), 20)
    assert after[-1] == WALL + 30
    np.testing.assert_allclose(np.diff(after), 0.05, atol=1e-5)


@pytest.mark.parametrize("stall_s", [3, 10, 30])
def test_a_burst_after_a_stall_lies_where_it_was_taken(stall_s: int) -> None:
    arrivals = np.concatenate(
        (WALL + np.arange(10), np.full(stall_s, WALL + 9 + stall_s), WALL + 10 + stall_s + np.arange(20))
    )
    parts = stamps(Clock(), arrivals, 20)
    time = np.concatenate(parts)
    steps = np.diff(time)
    (gap,) = np.flatnonzero(steps > 1.0)
    assert gap == 10 * 20 - 1, "what came before and after the stall makes no window together"
    assert (np.delete(steps, gap) > 0.02).all(), "no sample is pressed together"
    assert abs(time[-1] - arrivals[-1]) < 0.2
    assert abs(parts[9 + stall_s][-1] - arrivals[9 + stall_s]) < 1.1


def test_after_a_pause_without_a_burst_stamps_are_those_of_arrivals_from_the_second_message_on() -> None:
    arrivals = np.concatenate((WALL + np.arange(10), WALL + 30 + np.arange(10)))
    parts = stamps(Clock(), arrivals, 20)
    assert WALL + 10 < parts[10][0] < parts[10][-1] < WALL + 12
    np.testing.assert_allclose([part[-1] for part in parts[11:]], arrivals[11:], atol=0.05)


def test_what_comes_faster_than_it_can_have_been_taken_is_lost_and_not_pressed_together() -> None:
    arrivals = np.concatenate((WALL + np.arange(10), np.full(200, WALL + 9), WALL + 10 + np.arange(10)))
    time = np.concatenate(stamps(Clock(), arrivals, 20))
    steps = np.diff(time)
    assert (steps >= 0).all()
    assert ((steps == 0) | (steps > 0.02)).all()
    assert (steps[10 * 20 : 200 * 20] == 0).mean() > 0.95
    assert abs(time[-1] - arrivals[-1]) < 0.5


def test_stamps_follow_a_gateway_clock_that_is_set_back() -> None:
    arrivals = np.concatenate((WALL + np.arange(10), WALL - 3600 + np.arange(10)))
    parts = stamps(Clock(), arrivals, 20)
    assert abs(parts[-1][-1] - arrivals[-1]) < 0.5


def test_the_offset_is_smoothed_within_a_run_and_fresh_in_a_new_one() -> None:
    clock = Clock()
    clock.track_offset(WALL + 10, WALL, new_run=True)
    assert clock.offset_s == 10
    clock.track_offset(WALL + 11, WALL, new_run=False)
    assert clock.offset_s == pytest.approx(10.1)
    clock.track_offset(WALL + 86_400, WALL + 86_400, new_run=False)
    assert clock.offset_s == 0, "the gateway's clock was set"
    clock.track_offset(WALL + 86_400, WALL, new_run=True)
    assert clock.offset_s == 86_400


def test_late_messages_that_keep_pace_are_a_clock_set_back() -> None:
    clock = Clock()
    set_back = [clock.was_set_back(1000.0 + i / 2, 50.0 + i / 2) for i in range(5)]
    assert set_back == [False, False, False, False, True]


def test_a_burst_of_old_packets_is_not_a_clock_set_back() -> None:
    clock = Clock()
    assert not any(clock.was_set_back(1000.0 + i, 50.0 + i / 10) for i in range(100))


def test_one_old_packet_sent_again_and_again_is_not_a_clock_set_back() -> None:
    clock = Clock()
    assert not any(clock.was_set_back(1000.0, 50.0 + i) for i in range(100))


def test_a_message_in_time_ends_the_streak() -> None:
    clock = Clock()
    for i in range(20):
        assert not clock.was_set_back(1000.0 + i, 50.0 + i)
        clock.end_late_streak()


def test_a_restored_clock_continues_where_it_was() -> None:
    arrivals = WALL + np.arange(60) * 1.1
    whole, before = Clock(), Clock()
    expected = stamps(whole, arrivals, 20)
    stamps(before, arrivals[:30], 20)
    again = Clock()
    again.restore(before.state(), 0.0)
    np.testing.assert_array_equal(np.concatenate(stamps(again, arrivals[30:], 20)), np.concatenate(expected[30:]))
    assert again.state() == whole.state()


def test_a_restored_streak_of_late_messages_moves_with_the_gateways_clock() -> None:
    clock, again = Clock(), Clock()
    for i in range(3):
        assert not clock.was_set_back(1000.0 + i / 2, 50.0 + i / 2)
    again.restore(clock.state(), 7.0)
    assert [again.was_set_back(1000.0 + i / 2, 57.0 + i / 2) for i in (3, 4)] == [False, True]
