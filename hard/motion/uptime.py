"""Uptimes of one device, since its boot or start → device times in Unix s, by the smallest offset to arrival.

No message arrives before it was sent, so the smallest offset is the one with the least delay. Times move towards it by
at most SLEW, so that they never go back. A fall back towards zero is a reboot.
"""

from __future__ import annotations

import numpy as np

from hard.records import Float64Array, UptimeState

SLEW = 0.05  # share of the device's time by which its mapped times may lag behind: no activity looks different
REBOOT_FALL_S = 2.0  # packets that overtook one another fall back by less
REBOOT_SHARE = 0.5  # of the newest uptime: whatever is below is a fall towards zero
REBOOT_FALL_LONG_S = 60.0  # no late packet falls back so far
SET_AHEAD_S = 600.0  # uptimes that get so far ahead of arrival were set, as by a clock that learns the time
WALL_STEP_S = 0.5  # a smaller change of the gateway's wall clock against its monotonic one is reading noise


class UptimeMap:
    """`restarted` says whether the last message began a new count."""

    __slots__ = ("_state", "restarted")

    def __init__(self) -> None:
        self._state: UptimeState | None = None
        self.restarted = False

    def state(self) -> UptimeState | None:
        """What `restore` needs."""
        return self._state

    def restore(self, state: UptimeState | None, shift_s: float) -> None:
        """Continues from `state`; the gateway's monotonic clock has moved by `shift_s` since."""
        self._state = state and UptimeState(
            state.newest, state.offset + shift_s, state.smallest + shift_s, state.wall_ahead - shift_s
        )

    def forget(self) -> None:
        """The next message begins a new count."""
        self._state = None

    def to_unix(self, time: Float64Array, received_at: float, received_wall: float) -> Float64Array:
        """Unix times (N,) of one message's uptimes `time` (N,), N above 0, not sorted."""
        before, newest = self._state, float(time.max())
        offset, wall_ahead = received_at - newest, received_wall - received_at
        self.restarted = before is not None and (
            _has_rebooted(before.newest, newest) or offset < before.smallest - SET_AHEAD_S
        )
        if before is None or self.restarted:
            self._state = UptimeState(newest, offset, offset, wall_ahead)
            return np.asarray(time + (offset + wall_ahead))
        if abs(wall_ahead - before.wall_ahead) < WALL_STEP_S:
            wall_ahead = before.wall_ahead
        smallest, advance = min(before.smallest, offset), max(newest - before.newest, 0.0)
        applied = max(smallest, before.offset - SLEW * advance)
        self._state = UptimeState(max(newest, before.newest), applied, smallest, wall_ahead)
        if applied == before.offset:
            return np.asarray(time + (applied + wall_ahead))
        return np.asarray(time + wall_ahead + np.interp(time, (before.newest, newest), (before.offset, applied)))


def _has_rebooted(before: float, newest: float) -> bool:
    fall = before - newest
    return fall > REBOOT_FALL_S and (newest < REBOOT_SHARE * before or fall > REBOOT_FALL_LONG_S)
