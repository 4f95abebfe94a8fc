"""One device's clock: arrival times and device times in, device times out.

Stamps samples without time, distinguishes a clock that was set back from late samples, tracks the clock's offset.
Never compares device time with gateway time to reject a sample. Knows no windows.
"""

from __future__ import annotations

import numpy as np

from hard.motion.uptime import UptimeMap
from hard.records import ClockState, Float64Array, LateStreak, Samples

OFFSET_SMOOTHING = 0.1  # share of the newest message in the reported offset
PHASE_GAIN = 0.2  # share of the arrival error by which a message's stamps are corrected
STEP_RATIO_GAIN = 0.01  # share for the step ratio: PHASE_GAIN² / 4, where the loop just doesn't overshoot
RELEARN_GAIN = 0.2  # share of a measured step ratio, where the error is out of the loop's range
STEP_RATIO_LIMITS = (0.25, 4.0)
LONGEST_STALL_S = 60.0  # of a device without a clock, whose burst is then laid into the stall
MIN_STEP_S = 0.001  # spacing of samples while the rate is learnt
PACE_SLACK_S = 0.1  # by which the end of a burst may be further ahead of its arrival than `max_gap_s`
MIN_GAP_S = 0.001  # what a gap must be longer than `max_gap_s`
OFFSET_STEP_S = 2.0  # a greater change of the offset is a clock that was set
SET_BACK_S = 2.0  # late messages that keep pace for so long show that the clock was set back
KEEPS_PACE = (0.5, 2.0)  # device seconds for each gateway second that count as "keeps pace"
# The first message after a pause of more than PAUSE_S is a new recording where it lies more than this far back.
NEW_RECORDING_S = 60.0
PAUSE_S = 1.5
MANY_REPEATS = 3  # of a whole second: no packet comes so often again, so the device cuts its times to seconds


class Clock:
    """State of one device's clock. `offset_s` is device time minus gateway wall time, smoothed within a run."""

    __slots__ = (
        "_in_pace",
        "_last_stamp",
        "_last_stamp_wall",
        "_last_whole",
        "_late_streak",
        "_lost",
        "_repeats",
        "_step_ratio",
        "offset_s",
        "uptime",
    )

    def __init__(self) -> None:
        self.offset_s: float | None = None
        self._last_stamp: float | None = None
        self._in_pace = False  # whether the last message came about when it was expected
        self._lost = False  # whether samples are left out because they came too fast
        self._last_stamp_wall = 0.0
        self._step_ratio = 1.0
        self._late_streak: LateStreak | None = None
        self._last_whole, self._repeats = (
            0.0,
            0,
        )  # the last newest time that was a whole second; how often it came again
        self.uptime = UptimeMap()

    def state(self) -> ClockState:
        """What `restore` needs."""
        return ClockState(
            self.offset_s, self._last_stamp, self._last_stamp_wall, self._step_ratio, self._late_streak,
            self.uptime.state(),
        )  # fmt: skip

    def restore(self, state: ClockState, shift_s: float) -> None:
        """Continues from `state`; the gateway's monotonic clock has moved by `shift_s` since."""
        self.offset_s, self._last_stamp = state.offset_s, state.last_stamp
        self._last_stamp_wall, self._step_ratio = state.last_stamp_wall, state.step_ratio
        self._in_pace = state.last_stamp is not None
        self.uptime.restore(state.uptime, shift_s)
        if streak := state.late_streak:
            self._late_streak = LateStreak(streak.device_start, streak.gateway_start + shift_s, streak.newest)

    def stamp(self, samples: Samples, nominal_hz: float, max_gap_s: float) -> Float64Array:
        """Device times (N,) of `samples`, N above 0, not sorted; made from the time of arrival where there are none, or
        where they are whole seconds that many samples share.

        Arrival jitter is smoothed: a phase-locked loop follows the arrivals and learns how far the device's rate is off
        the nominal one. After a stall a new run begins as early as it may: a burst that follows then lies where it was
        taken, and where none follows, stamps start again at the next arrival. What comes faster than it can have been
        taken gets the last stamp again, so it counts as duplicates. Stamps go back only where the gateway's clock does.
        """
        if samples.time is not None:
            if samples.uptime:
                return self.uptime.to_unix(samples.time, samples.received_at, samples.received_wall)
            if not self._in_whole_seconds(samples.time):
                return samples.time
        n, wall = len(samples.xyz), samples.received_wall
        nominal = 1.0 / (samples.rate_hz or nominal_hz)
        last, step = wall, nominal * self._step_ratio
        if self._last_stamp is not None and wall >= self._last_stamp_wall - max_gap_s:
            last = self._follow(self._last_stamp, wall, n, nominal, max_gap_s)
            if last - self._last_stamp - n * step <= max_gap_s:
                step = (last - self._last_stamp) / n
        self._last_stamp, self._last_stamp_wall = last, wall
        return np.asarray(last - step * np.arange(n - 1, -1, -1), dtype=np.float64)

    def _follow(self, before: float, wall: float, n: int, nominal: float, max_gap_s: float) -> float:
        """The stamp of the last of `n` samples that came at `wall`; that of the last one before them is `before`."""
        length, since = n * nominal * self._step_ratio, wall - self._last_stamp_wall
        expected, was_in_pace = before + length, self._in_pace
        error = wall - expected
        in_burst = since < STEP_RATIO_LIMITS[0] * n * nominal
        self._in_pace = not self._lost and -max_gap_s - PACE_SLACK_S <= error <= max_gap_s
        if in_burst and error > 0 and not self._lost:
            return expected
        if self._in_pace:
            self._adjust_step_ratio(STEP_RATIO_GAIN * error / (n * nominal))
            return max(expected + PHASE_GAIN * error, before + 0.5 * length)
        if error <= max_gap_s and (in_burst or self._lost):
            self._lost = True  # until what is left out is a gap
            return before
        self._lost = False
        if was_in_pace and 0 < error <= LONGEST_STALL_S:
            return expected + max_gap_s + MIN_GAP_S
        ratio = since / (n * nominal)
        if STEP_RATIO_LIMITS[0] <= ratio <= STEP_RATIO_LIMITS[1]:
            self._adjust_step_ratio(RELEARN_GAIN * (ratio - self._step_ratio))
        return wall if error > 0 else max(wall, before + n * MIN_STEP_S)

    def track_offset(self, newest: float, received_wall: float, new_run: bool) -> None:
        """Takes the newest device time of a message into the reported offset."""
        offset = newest - received_wall
        if self.offset_s is None or new_run or abs(offset - self.offset_s) > OFFSET_STEP_S:
            self.offset_s = offset
        else:
            self.offset_s += OFFSET_SMOOTHING * (offset - self.offset_s)

    def _in_whole_seconds(self, time: Float64Array) -> bool:
        """Whether the device's times are cut to seconds, as one after another of its messages shows."""
        newest = float(time[-1])
        if not newest.is_integer():
            self._repeats = 0
            return False
        step, self._last_whole = newest - self._last_whole, newest
        if step == 0.0 and float(time[0]).is_integer():
            self._repeats += 1
        elif step != 1.0 or self._repeats < MANY_REPEATS:
            self._repeats = 0
        if len(time) > MANY_REPEATS and time.min() == time.max():
            self._repeats = MANY_REPEATS
        return self._repeats >= MANY_REPEATS

    def _adjust_step_ratio(self, change: float) -> None:
        self._step_ratio = min(max(self._step_ratio + change, STEP_RATIO_LIMITS[0]), STEP_RATIO_LIMITS[1])

    def was_set_back(self, newest: float, received_at: float, *, behind_s: float = 0.0, paused_s: float = 0.0) -> bool:
        """Whether a wholly late message, its newest sample at `newest`, shows that the clock was set back. The caller
        then starts a new run.

        Late packets come in a burst; a clock that was set back continues at the gateway's pace. True once late messages
        have kept pace for SET_BACK_S. True at once for a new recording: the device had been quiet for `paused_s` and
        then sends samples `behind_s` older than any that could still arrive late, as a repeated replay does.
        """
        if paused_s > PAUSE_S and behind_s > NEW_RECORDING_S:
            self._late_streak = None
            return True
        streak = self._late_streak
        if streak is None or newest <= streak.newest:
            self._late_streak = LateStreak(newest, received_at, newest)
            return False
        self._late_streak = LateStreak(streak.device_start, streak.gateway_start, newest)
        elapsed = received_at - streak.gateway_start
        if elapsed < SET_BACK_S:
            return False
        self._late_streak = None
        return KEEPS_PACE[0] <= (newest - streak.device_start) / elapsed <= KEEPS_PACE[1]

    def end_late_streak(self) -> None:
        """Call for a message that is not late."""
        self._late_streak = None
