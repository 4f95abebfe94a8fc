"""One device's time: stamps samples that carry none, tells a clock set back from late samples, tracks the offset.

Takes device times and arrival times, gives device times. Never compares the two to reject a sample; knows no windows.
"""

from __future__ import annotations

import numpy as np

from hard.records import Float64Array, Samples

OFFSET_SMOOTHING = 0.1  # share of the newest message in the reported offset
PHASE_GAIN = 0.2  # share of the arrival error that a stamped message takes up …
PACE_GAIN = 0.01  # … and that the learnt pace takes up: PHASE_GAIN² / 4, where the loop just doesn't overshoot
RELEARN_GAIN = 0.2  # share of a measured pace that the learnt one takes up where the loop is out of its range
PACE_LIMITS = (0.25, 4.0)
SQUEEZED_STEP_S = 0.001  # spacing of unstamped samples that came faster than time went by
SET_BACK_S = 2.0  # late messages that keep pace for so long are a clock set back
LONG_AGO_S = 60.0  # a device whose first message after a pause lies so far back begins another story
PAUSE_S = 1.5
KEEPS_PACE = (0.5, 2.0)  # device seconds for each gateway second that count as "keeps pace"


class Clock:
    """State of one device's clock. `offset_s` is device time minus gateway wall time, smoothed within a run."""

    __slots__ = ("_arrived", "_pace", "_stamped", "_streak", "offset_s")

    def __init__(self) -> None:
        self.offset_s: float | None = None
        self._stamped: float | None = None  # last time given to a sample that had none
        self._arrived = 0.0  # wall time of the message that it came in
        self._pace = 1.0  # true spacing of unstamped samples over the nominal one
        self._streak: tuple[float, float, float] | None = None  # device start, gateway start, last device time

    def state(self) -> tuple[float | None, ...]:
        """What `restore` needs."""
        return self.offset_s, self._stamped, self._arrived, self._pace, *(self._streak or ())

    def restore(self, state: tuple[float | None, ...], shift_s: float) -> None:
        """Goes on from `state`; the gateway's monotonic clock has moved by `shift_s` since."""
        self.offset_s, self._stamped, arrived, pace, *streak = state
        self._arrived, self._pace = arrived or 0.0, pace or 1.0
        if streak:
            device_start, gateway_start, newest = (value or 0.0 for value in streak)
            self._streak = (device_start, gateway_start + shift_s, newest)

    def stamp(self, samples: Samples, nominal_hz: float, max_gap_s: float) -> Float64Array:
        """Device times (N,) of `samples`, N above 0, not sorted; made from the time of arrival where there are none.

        Arrival jitter is smoothed: a phase-locked loop follows the arrivals and learns how far the device's rate is off
        the nominal one. An error of more than `max_gap_s` starts anew at the arrival; a burst that comes faster than
        its samples were taken is squeezed, so that stamps never go back but with the gateway's own clock.
        """
        if samples.time is not None:
            return samples.time
        n, wall = len(samples.xyz), samples.received_wall
        nominal = 1.0 / (samples.rate_hz or nominal_hz)
        last, step = wall, nominal * self._pace
        if self._stamped is not None and wall >= self._arrived - max_gap_s:
            expected = self._stamped + n * step
            error = wall - expected
            if abs(error) <= max_gap_s:
                last = max(expected + PHASE_GAIN * error, self._stamped + 0.5 * n * step)
                self._learn(PACE_GAIN * error / (n * nominal))
            else:
                pace = (wall - self._arrived) / (n * nominal)
                if PACE_LIMITS[0] <= pace <= PACE_LIMITS[1]:
                    self._learn(RELEARN_GAIN * (pace - self._pace))
                if error < 0:
                    last = max(wall, self._stamped + n * SQUEEZED_STEP_S)
            if error <= max_gap_s:
                step = (last - self._stamped) / n
        self._stamped, self._arrived = last, wall
        return np.asarray(last - step * np.arange(n - 1, -1, -1), dtype=np.float64)

    def track(self, newest: float, received_wall: float, new_run: bool) -> None:
        """Takes the newest device time of a message into the reported offset."""
        offset = newest - received_wall
        if self.offset_s is None or new_run:
            self.offset_s = offset
        else:
            self.offset_s += OFFSET_SMOOTHING * (offset - self.offset_s)

    def _learn(self, change: float) -> None:
        self._pace = min(max(self._pace + change, PACE_LIMITS[0]), PACE_LIMITS[1])

    def set_back(self, newest: float, received_at: float, *, behind_s: float = 0.0, paused_s: float = 0.0) -> bool:
        """Tells whether a wholly late message, its newest sample at `newest`, shows that the clock was set back.

        Late packets come in a burst; a clock that was set back goes on at the gateway's pace. True once late messages
        have kept pace for SET_BACK_S, and at once where the device had been quiet for `paused_s` and then comes
        `behind_s` further back than anything that it could have kept back meanwhile: a recording that is replayed
        again, say. The caller starts a new run.
        """
        if paused_s > PAUSE_S and behind_s > LONG_AGO_S:
            self._streak = None
            return True
        if self._streak is None or newest <= self._streak[2]:
            self._streak = (newest, received_at, newest)
            return False
        device_start, gateway_start, _ = self._streak
        self._streak = (device_start, gateway_start, newest)
        elapsed = received_at - gateway_start
        if elapsed < SET_BACK_S:
            return False
        keeps_pace = KEEPS_PACE[0] <= (newest - device_start) / elapsed <= KEEPS_PACE[1]
        self._streak = None
        return keeps_pace

    def on_time(self) -> None:
        """Ends a streak of late messages."""
        self._streak = None
