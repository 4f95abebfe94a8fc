"""One device's time: stamps samples that carry none, tells a clock set back from late samples, tracks the offset.

Takes device times and arrival times, gives device times. Never compares the two to reject a sample; knows no windows.
"""

from __future__ import annotations

import numpy as np

from hard.records import Floats, Samples

OFFSET_SMOOTHING = 0.1  # share of the newest message in the reported offset
JITTER_SMOOTHING = 0.05  # share of the arrival error that a stamped message takes up
SET_BACK_S = 2.0  # late messages that keep pace for so long are a clock set back
PACE = (0.5, 2.0)  # device seconds for each gateway second that count as "keeps pace"


class Clock:
    """State of one device's clock. `offset_s` is device time minus gateway wall time, smoothed."""

    __slots__ = ("_stamped", "_streak", "offset_s")

    def __init__(self) -> None:
        self.offset_s: float | None = None
        self._stamped: float | None = None  # last time given to a sample that had none
        self._streak: tuple[float, float, float] | None = None  # device start, gateway start, last device time

    def stamp(self, samples: Samples, nominal_hz: float, max_gap_s: float) -> Floats:
        """Device times (N,) of `samples`, not sorted; made from the time of arrival where the device sends none.

        Arrival jitter is smoothed: stamps advance at the nominal rate and drift slowly towards the arrivals; an error
        of more than `max_gap_s` starts anew at the arrival.
        """
        if samples.time is not None:
            time = samples.time
        else:
            n, step = len(samples.xyz), 1.0 / (samples.rate_hz or nominal_hz)
            last = samples.received_wall
            if self._stamped is not None:
                expected = self._stamped + n * step
                error = samples.received_wall - expected
                if abs(error) <= max_gap_s:
                    last = max(expected + JITTER_SMOOTHING * error, self._stamped + 0.5 * n * step)
            step = step if self._stamped is None else min(step, (last - self._stamped) / n)
            if step <= 0:  # the gateway's own clock was set back: begin again
                step = 1.0 / (samples.rate_hz or nominal_hz)
            self._stamped = last
            time = np.asarray(last - step * np.arange(n - 1, -1, -1), dtype=np.float64)
        offset = float(time.max()) - samples.received_wall
        if self.offset_s is None:
            self.offset_s = offset
        else:
            self.offset_s += OFFSET_SMOOTHING * (offset - self.offset_s)
        return time

    def set_back(self, newest: float, received_at: float) -> bool:
        """Tells whether a wholly late message, its newest sample at `newest`, shows that the clock was set back.

        Late packets come in a burst; a clock that was set back goes on at the gateway's pace. True once late messages
        have kept pace for SET_BACK_S: the caller starts a new run.
        """
        if self._streak is None or newest <= self._streak[2]:
            self._streak = (newest, received_at, newest)
            return False
        device_start, gateway_start, _ = self._streak
        self._streak = (device_start, gateway_start, newest)
        elapsed = received_at - gateway_start
        if elapsed < SET_BACK_S:
            return False
        keeps_pace = PACE[0] <= (newest - device_start) / elapsed <= PACE[1]
        self._streak = None
        if keeps_pace:
            self.offset_s = None
        return keeps_pace

    def on_time(self) -> None:
        """Ends a streak of late messages."""
        self._streak = None
