"""One device's mounting, learnt from its wearer's own walking: which way is up, and which way is forward.

Takes closed windows (T, 3) m/s², gives a `Frame`. Uses no label and no model: whoever steps is upright, so mean gravity
is up; and in each step the push along the way follows the push upwards with the same delay, so the horizontal
acceleration that follows the vertical one tells where the wearer faces. Turning the device turns the frame with it.
Knows no device's life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import numpy as np

from hard.records import Floats, Singles, Window

# What counts as walking: mean gravity near 1 g, vertical deviation of a gait (jogging has more), and a rhythm, the
# greatest autocorrelation at lags of LAGS_S. Set by eye on MotionSense: 18 people, one of whom swings up to 8.6 m/s².
GRAVITY_MS2 = (8.0, 12.0)
VERTICAL_STD_MS2 = (0.8, 10.0)
LAGS_S = (0.3, 1.3)
RHYTHM = 0.45
FOLLOWS_S = (0.1, 0.15)  # by so much horizontal acceleration follows vertical where the sign is clearest

EVIDENCE = 8  # walking windows until a frame counts as calibrated
MEMORY = 300  # windows: the running means forget older evidence
ASTRAY_COS = 0.8  # gravity further away than this (37°) speaks for another mounting
REMOUNTED = 20  # so many more windows astray than not: the device was mounted anew
LEAST = 0.05  # least length of a forward cue that says anything


class Frame(NamedTuple):
    """Unit vectors (3,) in the device's axes; `forward` is level when the wearer stands. Assumed until `calibrated`."""

    up: Singles
    forward: Singles
    calibrated: bool


class Step(NamedTuple):
    """What one walking window says: unit gravity (3,), and a horizontal vector (3,) that points back."""

    gravity: Floats
    back: Floats


class Mounting:
    """Running means of the evidence; 200 bytes of state. `usual` is the frame until there is enough of it."""

    __slots__ = ("_astray", "_astray_n", "_back", "_n", "_rate_hz", "_since", "_up", "frame")

    def __init__(self, usual: Frame, rate_hz: float) -> None:
        self.frame, self._rate_hz = usual, rate_hz
        self._up: Floats = np.zeros(3)
        self._back: Floats = np.zeros(3)
        self._n = 0
        self._astray: tuple[Floats, Floats] = (np.zeros(3), np.zeros(3))
        self._astray_n = self._since = 0

    def learn(self, xyz: Singles) -> int:
        """Takes a window (T, 3); updates `frame` where it shows walking.

        Where that shows that the device was mounted anew, gives how many windows ago, this one included; else 0.
        """
        self._since += 1
        step = walking(xyz, self._rate_hz)
        if step is None:
            return 0
        remounted = 0
        if self._n and float(step.gravity @ self._up) < ASTRAY_COS * _length(self._up):
            if not self._astray_n:
                self._since = 1
            self._astray_n += 1
            share = 1.0 / self._astray_n
            up, back = self._astray
            self._astray = (up + share * (step.gravity - up), back + share * (step.back - back))
            if self._astray_n < REMOUNTED:
                return 0
            (self._up, self._back), self._n, remounted = self._astray, REMOUNTED, self._since
        else:
            self._n = min(self._n + 1, MEMORY)
            self._up = np.asarray(self._up + (step.gravity - self._up) / self._n)
            self._back = np.asarray(self._back + (step.back - self._back) / self._n)
        self._astray_n = 0 if remounted else max(0, self._astray_n - 1)
        if self._n >= EVIDENCE:
            self.frame = self._learnt()
        return remounted

    def state(self) -> Floats:
        """What `restore` needs: (21,)."""
        counts = (self._n, self._astray_n, self._since)
        return np.concatenate((self._up, self._back, *self._astray, self.frame.up, self.frame.forward, counts))

    def restore(self, state: Floats) -> None:
        """Goes on from `state`. Without enough evidence the usual frame stays."""
        self._up, self._back, *astray, up, forward, counts = np.split(state, range(3, 19, 3))
        self._astray = (astray[0], astray[1])
        self._n, self._astray_n, self._since = (int(count) for count in counts)
        if self._n >= EVIDENCE:
            self.frame = Frame(up.astype(np.float32), forward.astype(np.float32), True)

    def _learnt(self) -> Frame:
        up = self._up / _length(self._up)
        level: Floats = np.asarray(self._back - (self._back @ up) * up)
        if _length(level) < LEAST:  # no cue: keep the usual forward, made level
            level = np.asarray((self.frame.forward @ up) * up - self.frame.forward)
        forward = -level / max(_length(level), 1e-6)
        return Frame(up.astype(np.float32), forward.astype(np.float32), True)


def settle(windows: Sequence[Window], usual: Frame, rate_hz: float) -> list[Window]:
    """The same windows of one device, in order, under the mounting that all of them show: what a second pass knows.

    A device that was mounted anew has a mounting before and one after.
    """
    mounting, frames, begins = Mounting(usual, rate_hz), [usual], [0]
    for i, window in enumerate(windows):
        if ago := mounting.learn(window.xyz):
            begins.append(max(begins[-1], i + 1 - ago))
            frames.append(mounting.frame)
        frames[-1] = mounting.frame
    settled = []
    for frame, begin, end in zip(frames, begins, [*begins[1:], len(windows)], strict=True):
        own = {"up": frame.up, "forward": frame.forward, "calibrated": frame.calibrated}
        settled += [replace(window, **own) for window in windows[begin:end]]  # type: ignore[arg-type]
    return settled


def walking(xyz: Singles, rate_hz: float) -> Step | None:
    """What a window (T, 3) says of the mounting, or None where it shows no steady steps."""
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
    begin, products, follows = _lags(n, rate_hz)
    # Each lag has n − lag products: divided by their number, a steady rhythm peaks at 1 whatever its pace.
    lags = np.correlate(vertical, vertical, "full")[n - 1 + begin : n - 1 + begin + len(products)] / products
    if not len(lags) or lags.max() < RHYTHM * power:
        return None
    level = centred - vertical[:, None] * gravity
    every = level.ravel()
    spread = sqrt(float(every @ every) / n * power)
    back = np.zeros(3)
    for lag in follows:
        back += vertical[:-lag] @ level[lag:] / (n - lag)
    return Step(gravity, back / (len(FOLLOWS_S) * max(spread, 1e-6)))


@lru_cache(maxsize=8)
def _lags(points: int, rate_hz: float) -> tuple[int, Floats, tuple[int, ...]]:
    """The first lag of LAGS_S, the number of products of each from it on, and the lags of FOLLOWS_S."""
    begin, stop = (round(lag * rate_hz) for lag in LAGS_S)
    products = points - np.arange(begin, min(stop + 1, points), dtype=np.float64)
    return begin, products, tuple({max(1, round(seconds * rate_hz)) for seconds in FOLLOWS_S})


def _length(vector: Floats) -> float:
    return sqrt(float(vector @ vector))
