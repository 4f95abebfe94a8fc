"""The times of a file → seconds: their unit, coarse ones spread, counts of samples by the sample rate.

"Coarse" times are those of a clock that is slower than the sensor, such as whole seconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hard.records import Float64Array
from hard.units import TIME_UNITS

MAX_ABS_TIME_S = 1e11  # 3,000 years: in float64 consecutive samples still differ
MIN_COUNTED = 20  # so few whole numbers may be anything


def time_unit_of(time: Float64Array) -> str:
    """The unit of `time` by its step: the unit in which the rate lies between 1 and 1,000 Hz.

    Times may fall. Where samples share a time, the step between two times is that of all of them."""
    steps = np.abs(np.diff(time[np.abs(time) <= MAX_ABS_TIME_S * max(TIME_UNITS.values())]))  # without NaN too
    moved = steps > 0
    if not moved.any():
        return "s"
    step = float(np.median(steps[moved])) * float(moved.mean())
    return "s" if step < 1 else "ms" if step < 1e3 else "us" if step < 1e6 else "ns"


def is_count(time: Float64Array) -> bool:
    """Whether `time` counts samples: whole numbers from 0 or 1 on, nearly always one more than the last."""
    if len(time) < MIN_COUNTED or time[0] not in (0, 1) or not np.isfinite(time).all():
        return False
    return bool((time == np.floor(time)).all() and np.median(np.diff(time)) == 1)


def in_seconds(time: Float64Array, unit: str) -> tuple[Float64Array, NDArray[np.bool_]]:
    """`time` (N,) in s, and which of it are plausible."""
    divisor = TIME_UNITS[unit]
    return time / divisor, np.abs(time) <= MAX_ABS_TIME_S * divisor  # false for NaN too


def ascending(time: Float64Array) -> bool:
    """Whether times mostly rise; false for a file with the newest first."""
    steps = np.diff(time)
    return int((steps > 0).sum()) >= int((steps < 0).sum())


def spread(time: Float64Array, rate_hz: float | None = None) -> Float64Array:
    """Coarse times (N,) in s, in the order of the samples, spread over the time until the next; others as they are.

    The samples of one time are spaced evenly: by `rate_hz` where it is given, else by how many usually share one. A
    first, incomplete one ends where the next begins.
    """
    steps = np.diff(time)
    if len(time) < MIN_COUNTED or (steps == 0).mean() <= 0.5:
        return time
    begins = np.concatenate(([0], np.flatnonzero(steps) + 1))
    sizes = np.diff(np.concatenate((begins, [len(time)])))
    moves = steps[steps != 0]
    resolution_s = float(np.median(np.abs(moves))) if len(moves) else float(sizes[0]) / (rate_hz or sizes[0])
    usual = float(np.median(sizes[1:-1])) if len(sizes) > 2 else float(sizes.max())
    step_s = min(resolution_s / usual, 1 / rate_hz) if rate_hz else resolution_s / usual
    steps_s = np.minimum(step_s, resolution_s / sizes)
    offset = np.arange(len(time)) - np.repeat(begins, sizes)
    spread_out: Float64Array = time + offset * np.repeat(steps_s, sizes)
    if sizes[0] < usual:
        spread_out[: sizes[0]] += resolution_s - sizes[0] * steps_s[0]
    return spread_out
