"""Uptimes → Unix times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hard.motion.uptime import SET_AHEAD_S, SLEW, UptimeMap
from hard.records import Float64Array

BOOT = 1_700_000_000.0  # of the device, Unix s
AHEAD = 1_699_990_000.0  # of the gateway's wall clock, ahead of its monotonic one


def second(uptime: float, rate_hz: float = 50.0) -> Float64Array:
    """The samples of a second that ends at `uptime`."""
    return np.asarray(uptime - np.arange(round(rate_hz))[::-1] / rate_hz)


def send(clock: UptimeMap, time: Float64Array, delay_s: float = 0.0, boot: float = BOOT) -> Float64Array:
    """What `clock` makes of a message that arrives `delay_s` after its last sample."""
    wall = boot + float(time.max()) + delay_s
    return clock.to_unix(time, wall - AHEAD, wall)


def test_the_first_message_ends_at_its_arrival() -> None:
    np.testing.assert_allclose(send(UptimeMap(), second(12.5)), BOOT + second(12.5))


@given(seed=st.integers(0, 2**32), jitter_s=st.floats(0, 0.5), rate_hz=st.sampled_from([20.0, 50.0, 104.0]))
def test_times_rise_evenly_and_come_close_to_the_smallest_delay(seed: int, jitter_s: float, rate_hz: float) -> None:
    delays = np.random.default_rng(seed).uniform(0, jitter_s, 60)
    clock = UptimeMap()
    found = np.concatenate([send(clock, second(k + 1, rate_hz), delay) for k, delay in enumerate(delays.tolist())])
    steps = np.diff(found)
    assert steps.min() > (1 - SLEW) / rate_hz - 1e-6
    assert steps.max() < 1 / rate_hz + 1e-6
    late = found - BOOT - np.concatenate([second(k + 1, rate_hz) for k in range(60)])
    assert late.min() > -1e-6
    assert late[-1] <= min(delays) + max(0.0, jitter_s - SLEW * 59) + 1e-6


def test_a_burst_after_a_stall_keeps_its_spacing() -> None:
    clock = UptimeMap()
    for k in range(5):
        send(clock, second(k + 1))
    held = [send(clock, second(k + 1), 10.0 - (k - 5)) for k in range(5, 15)]
    np.testing.assert_allclose(np.concatenate(held), BOOT + np.concatenate([second(k + 1) for k in range(5, 15)]))


@pytest.mark.parametrize(("before", "after"), [(100.0, 1.0), (10.0, 3.0), (1e6, 4e5), (5000.0, 4900.0)])
def test_a_fall_back_towards_zero_is_a_reboot(before: float, after: float) -> None:
    clock = UptimeMap()
    send(clock, second(before))
    assert not clock.restarted
    rebooted = send(clock, second(after), boot=BOOT + 5000)
    assert clock.restarted
    np.testing.assert_allclose(rebooted[-1], BOOT + 5000 + after)
    send(clock, second(after + 1), boot=BOOT + 5000)
    assert not clock.restarted


def test_packets_that_overtook_one_another_are_no_reboot() -> None:
    clock = UptimeMap()
    send(clock, second(1001))
    late = send(clock, second(991), 10.0)
    assert not clock.restarted
    np.testing.assert_allclose(late, BOOT + second(991))


def test_a_clock_that_is_set_ahead_begins_anew() -> None:
    clock = UptimeMap()
    send(clock, second(10))
    found = send(clock, second(11 + SET_AHEAD_S * 2), boot=BOOT - SET_AHEAD_S * 2)
    assert clock.restarted
    np.testing.assert_allclose(found[-1], BOOT + 11)


def test_a_gateway_that_learns_the_time_moves_the_times_with_it() -> None:
    clock = UptimeMap()
    for k, wrong_s in enumerate((1e9, 1e9, 0.0)):
        time = second(k + 1)
        wall = BOOT + float(time[-1])
        found = clock.to_unix(time, wall - AHEAD, wall - wrong_s)
        np.testing.assert_allclose(found[-1], wall - wrong_s)


def test_another_process_goes_on() -> None:
    first, second_ = UptimeMap(), UptimeMap()
    send(first, second(5), 0.2)
    send(first, second(6), 0.1)
    second_.restore(first.state(), 500.0)
    time = second(7)
    wall = BOOT + 7 + 0.3
    again = second_.to_unix(time, wall - AHEAD + 500, wall)
    np.testing.assert_allclose(again, first.to_unix(time, wall - AHEAD, wall), atol=1e-6)
    first.forget()
    assert first.state() is None
