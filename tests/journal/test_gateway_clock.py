"""By how much the monotonic clock of another process or boot differs."""

from __future__ import annotations

import time

import pytest
from support.assembly import START, FakeClock

from hard.journal.gateway_clock import GatewayClock


def test_within_a_boot_monotonic_times_stay() -> None:
    mark = FakeClock(1000.0).gateway.mark()
    assert FakeClock(5000.0).gateway.shift_s(mark, newest=999.0) == 0.0


@pytest.mark.parametrize("boot", ["another", ""])
def test_after_a_boot_they_are_shifted_by_the_wall_clock(boot: str) -> None:
    mark = FakeClock(1000.0, boot="").gateway.mark()
    clock = FakeClock(7.0, wall_ahead_s=START + 1093, boot=boot)  # 100 s later
    assert clock.gateway.shift_s(mark, newest=990.0) == pytest.approx(-1093)


@pytest.mark.parametrize(("newest", "shift_s"), [(990.0, 7.0 - 990), (None, 7.0 - 1000)])
def test_no_time_is_shifted_past_now(newest: float | None, shift_s: float) -> None:
    """A machine without a clock of its own starts in the past."""
    mark = FakeClock(1000.0).gateway.mark()
    clock = FakeClock(7.0, wall_ahead_s=START - 1e6, boot="another")
    assert clock.gateway.shift_s(mark, newest) == pytest.approx(shift_s)


def test_the_clocks_of_this_machine() -> None:
    clock = GatewayClock()
    assert clock.monotonic() == pytest.approx(time.monotonic(), abs=5)
    assert clock.wall() == pytest.approx(time.time(), abs=5)
    assert clock.shift_s(clock.mark(), newest=None) == 0.0
