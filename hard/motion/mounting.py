"""One device's mounting, learnt from its wearer's walking: closed windows (T, 3) in m/s² in, a `Frame` out.

A frame holds the directions up and forward. Uses no label and no model. A person who walks is upright, so mean gravity
while walking shows which way is up. In each step the forward acceleration follows the vertical one with the same delay,
so the horizontal acceleration that follows the vertical one shows which way is forward. Turning the device turns the
frame with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import numpy as np

from hard.records import Float32Array, Float64Array, MountingState, Window

# What counts as walking: mean gravity near 1 g, a vertical deviation as of a gait (jogging has more), and a rhythm: the
# greatest autocorrelation at lags of LAGS_S. Set by eye on MotionSense: 18 people, one of whom has up to 8.6 m/s².
GRAVITY_MS2 = (8.0, 12.0)
VERTICAL_STD_MS2 = (0.8, 10.0)
LAGS_S = (0.3, 1.3)
MIN_RHYTHM = 0.45
FORWARD_DELAYS_S = (0.1, 0.15)  # of horizontal after vertical acceleration: here the sign is clearest

LEARNT_WINDOWS = 8  # walking windows until a mounting counts as learnt
DIRECTION_WINDOWS = 300  # walking windows that the running means of directions span; older ones fade
CONSISTENT_COS = 0.8  # gravity further than this (37°) from the learnt up is inconsistent with the mounting
REMOUNTED_WINDOWS = 20  # so many more inconsistent windows than consistent ones: the device was mounted anew
MIN_FORWARD_CUE = 0.05  # least length of a level vector that says which way is forward
UP, BACK = slice(0, 3), slice(3, 6)  # of the directions (6,) that a walking window shows


class Frame(NamedTuple):
    """Unit vectors (3,) in the device's axes; `forward` is level when the wearer stands. A default until
    `calibrated`."""

    up: Float32Array
    forward: Float32Array
    calibrated: bool


class Mounting:
    """Running means of what walking windows show, and of those that are inconsistent with them; 200 bytes of state.

    `default` is the frame until enough windows have shown walking.
    """

    __slots__ = (
        "_directions", "_inconsistent_directions", "_inconsistent_windows", "_rate_hz", "_windows",
        "_windows_since_inconsistent", "frame",
    )  # fmt: skip

    def __init__(self, default: Frame, rate_hz: float) -> None:
        self.frame, self._rate_hz = default, rate_hz
        self._directions: Float64Array = np.zeros(6)
        self._inconsistent_directions: Float64Array = np.zeros(6)
        self._windows = self._inconsistent_windows = self._windows_since_inconsistent = 0

    def learn(self, xyz: Float32Array) -> int:
        """Takes a window (T, 3); updates `frame` where it shows walking.

        Where that shows that the device was mounted anew, gives how many windows ago, this one included; else 0.
        """
        self._windows_since_inconsistent += 1
        cue = walking_cue(xyz, self._rate_hz)
        if cue is None:
            return 0
        remounted = 0
        if self._windows and not self._is_consistent(cue):
            if not self._inconsistent_windows:
                self._windows_since_inconsistent = 1
            self._inconsistent_windows += 1
            change = (cue - self._inconsistent_directions) / self._inconsistent_windows
            self._inconsistent_directions = self._inconsistent_directions + change
            if self._inconsistent_windows < REMOUNTED_WINDOWS:
                return 0
            self._directions, self._windows = self._inconsistent_directions, REMOUNTED_WINDOWS
            remounted = self._windows_since_inconsistent
        else:
            self._windows = min(self._windows + 1, DIRECTION_WINDOWS)
            self._directions = self._directions + (cue - self._directions) / self._windows
        self._inconsistent_windows = 0 if remounted else max(0, self._inconsistent_windows - 1)
        if self._windows >= LEARNT_WINDOWS:
            self.frame = self._learnt_frame()
        return remounted

    def state(self) -> MountingState:
        """What `restore` needs."""
        return MountingState(
            directions=tuple(self._directions.tolist()),
            inconsistent_directions=tuple(self._inconsistent_directions.tolist()),
            up=tuple(self.frame.up.tolist()),
            forward=tuple(self.frame.forward.tolist()),
            windows=self._windows,
            inconsistent_windows=self._inconsistent_windows,
            windows_since_inconsistent=self._windows_since_inconsistent,
        )

    def restore(self, state: MountingState) -> None:
        """Continues from `state`. Where too few windows have shown walking, the default frame stays."""
        self._directions = np.array(state.directions)
        self._inconsistent_directions = np.array(state.inconsistent_directions)
        self._windows, self._inconsistent_windows = state.windows, state.inconsistent_windows
        self._windows_since_inconsistent = state.windows_since_inconsistent
        if self._windows >= LEARNT_WINDOWS:
            up, forward = np.array(state.up, np.float32), np.array(state.forward, np.float32)
            self.frame = Frame(up, forward, True)

    def _is_consistent(self, cue: Float64Array) -> bool:
        up = self._directions[UP]
        return float(cue[UP] @ up) >= CONSISTENT_COS * _length(up)

    def _learnt_frame(self) -> Frame:
        up = self._directions[UP] / _length(self._directions[UP])
        back = self._directions[BACK]
        level: Float64Array = np.asarray(back - (back @ up) * up)
        if _length(level) < MIN_FORWARD_CUE:  # no cue: keep the default forward, made level
            level = np.asarray((self.frame.forward @ up) * up - self.frame.forward)
        forward = -level / max(_length(level), 1e-6)
        return self.frame._replace(up=up.astype(np.float32), forward=forward.astype(np.float32), calibrated=True)


def with_learnt_mounting(windows: Sequence[Window], default: Frame, rate_hz: float) -> list[Window]:
    """The same windows of one device, in order, under the mounting that all of them show (two-pass labelling).

    A device that was mounted anew has one mounting before and another after.
    """
    mounting, frames, begins = Mounting(default, rate_hz), [default], [0]
    for i, window in enumerate(windows):
        if ago := mounting.learn(window.xyz):
            begins.append(max(begins[-1], i + 1 - ago))
            frames.append(mounting.frame)
        frames[-1] = mounting.frame
    return [
        replace(window, up=frame.up, forward=frame.forward, calibrated=frame.calibrated)
        for frame, begin, end in zip(frames, begins, [*begins[1:], len(windows)], strict=True)
        for window in windows[begin:end]
    ]


def walking_cue(xyz: Float32Array, rate_hz: float) -> Float64Array | None:
    """What a window (T, 3) shows of the mounting: unit gravity and a level vector that points back, together (6,); None
    where it shows no steady steps."""
    gravity = np.add.reduce(xyz, axis=0, dtype=np.float64) / len(xyz)
    length = _length(gravity)
    if not GRAVITY_MS2[0] < length < GRAVITY_MS2[1]:
        return None
    gravity /= length
    centred = xyz - gravity * length
    vertical = centred @ gravity
    power = float(vertical @ vertical) / len(vertical)
    if not VERTICAL_STD_MS2[0] ** 2 < power < VERTICAL_STD_MS2[1] ** 2:
        return None
    n = len(vertical)
    begin, products, delays = _lags(n, rate_hz)
    # Each lag has n − lag products: divided by their number, a steady rhythm peaks at 1 whatever its pace.
    lags = np.correlate(vertical, vertical, "full")[n - 1 + begin : n - 1 + begin + len(products)] / products
    if not len(lags) or lags.max() < MIN_RHYTHM * power:
        return None
    level = centred - vertical[:, None] * gravity
    every = level.ravel()
    spread = sqrt(float(every @ every) / n * power)
    back = np.zeros(3)
    for delay in delays:
        back += vertical[:-delay] @ level[delay:] / (n - delay)
    back /= len(FORWARD_DELAYS_S) * max(spread, 1e-6)
    return np.concatenate((gravity, back))


@lru_cache(maxsize=8)
def _lags(points: int, rate_hz: float) -> tuple[int, Float64Array, tuple[int, ...]]:
    """The first lag of LAGS_S, the number of products of each from it on, and FORWARD_DELAYS_S as lags."""
    begin, stop = (round(lag * rate_hz) for lag in LAGS_S)
    products = points - np.arange(begin, min(stop + 1, points), dtype=np.float64)
    return begin, products, tuple({max(1, round(seconds * rate_hz)) for seconds in FORWARD_DELAYS_S})


def _length(vector: Float64Array) -> float:
    return sqrt(float(vector @ vector))
