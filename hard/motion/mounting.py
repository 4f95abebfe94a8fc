"""One device's mounting, learnt from its wearer's own walking: which way is up, which way is forward, and how strong
its gait is (`gait_amplitude_ms2`).

Takes closed windows (T, 3) m/s², gives a `Frame`. Uses no label and no model: whoever steps is upright, so mean gravity
is up; and in each step the push along the way follows the push upwards with the same delay, so the horizontal
acceleration that follows the vertical one tells where the wearer faces. Turning the device turns the frame with it.
Knows no device's life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import exp, log, sqrt
from typing import NamedTuple

import numpy as np

from hard.records import Float32Array, Float64Array, Window

# What counts as walking: mean gravity near 1 g, vertical deviation of a gait (jogging has more), and a rhythm, the
# greatest autocorrelation at lags of LAGS_S. Set by eye on MotionSense: 18 people, one of whom swings up to 8.6 m/s².
GRAVITY_MS2 = (8.0, 12.0)
VERTICAL_STD_MS2 = (0.8, 10.0)
LAGS_S = (0.3, 1.3)
RHYTHM = 0.45
FOLLOWS_S = (0.1, 0.15)  # by so much horizontal acceleration follows vertical where the sign is clearest

EVIDENCE = 8  # walking windows until a frame counts as calibrated
MEMORY = 300  # walking windows: the running means of directions forget older evidence
AMPLITUDE_MEMORY = 3000  # of the gait amplitude, which stairs and haste change for a while
ASTRAY_COS = 0.8  # gravity further away than this (37°) speaks for another mounting
REMOUNTED = 20  # so many more windows astray than not: the device was mounted anew
LEAST = 0.05  # least length of a forward cue that says anything
UP, BACK = slice(0, 3), slice(3, 6)  # of the directions that a walking window shows
STATE = 6 + 6 + 3 + 3 + 6  # numbers of a mounting's state


class Frame(NamedTuple):
    """Unit vectors (3,) in the device's axes; `forward` is level when the wearer stands. Assumed until `calibrated`.

    `swing` is the standard deviation in m/s² of the vertical part while walking: it differs by wearer and by where the
    device is worn. 0 where nothing is known of it.
    """

    up: Float32Array
    forward: Float32Array
    calibrated: bool
    gait_amplitude_ms2: float = 0.0


class Step(NamedTuple):
    """What one walking window says: unit gravity and a level vector that points back, together (6,); and the logarithm
    of the vertical deviation in m/s²."""

    directions: Float64Array
    log_gait_amplitude: float


class Mounting:
    """Running means of what walking windows say, and of those that went astray; 200 bytes of state.

    `usual` is the frame until there is enough evidence.
    """

    __slots__ = (
        "_inconsistent",
        "_inconsistent_n",
        "_log_gait_amplitude",
        "_mean",
        "_n",
        "_rate_hz",
        "_since",
        "_walked",
        "frame",
    )

    def __init__(self, usual: Frame, rate_hz: float) -> None:
        self.frame, self._rate_hz = usual, rate_hz
        self._mean: Float64Array = np.zeros(6)
        self._inconsistent: Float64Array = np.zeros(6)
        self._n = self._inconsistent_n = self._since = self._walked = 0
        self._log_gait_amplitude = 0.0  # a logarithm

    def learn(self, xyz: Float32Array) -> int:
        """Takes a window (T, 3); updates `frame` where it shows walking.

        Where that shows that the device was mounted anew, gives how many windows ago, this one included; else 0.
        """
        self._since += 1
        said = walking(xyz, self._rate_hz)
        if said is None:
            return 0
        self._walked = min(self._walked + 1, AMPLITUDE_MEMORY)
        self._log_gait_amplitude += (said.log_gait_amplitude - self._log_gait_amplitude) / self._walked
        remounted = 0
        if self._n and float(said.directions[UP] @ self._mean[UP]) < ASTRAY_COS * _length(self._mean[UP]):
            if not self._inconsistent_n:
                self._since = 1
            self._inconsistent_n += 1
            self._inconsistent = self._inconsistent + (said.directions - self._inconsistent) / self._inconsistent_n
            if self._inconsistent_n < REMOUNTED:
                return 0
            self._mean, self._n, remounted = self._inconsistent, REMOUNTED, self._since
        else:
            self._n = min(self._n + 1, MEMORY)
            self._mean = self._mean + (said.directions - self._mean) / self._n
        self._inconsistent_n = 0 if remounted else max(0, self._inconsistent_n - 1)
        if self._n >= EVIDENCE:
            self.frame = self._learnt()
        return remounted

    def state(self) -> Float64Array:
        """What `restore` needs: (STATE,)."""
        numbers = (
            self.frame.gait_amplitude_ms2,
            self._log_gait_amplitude,
            self._walked,
            self._n,
            self._inconsistent_n,
            self._since,
        )
        return np.concatenate((self._mean, self._inconsistent, self.frame.up, self.frame.forward, numbers))

    def restore(self, state: Float64Array) -> None:
        """Goes on from `state`, which this version of HARD wrote. Without enough evidence the usual frame stays."""
        if len(state) != STATE:
            return
        self._mean, self._inconsistent, up, forward, (gait_amplitude_ms2, self._log_gait_amplitude, *counts) = np.split(
            state, (6, 12, 15, 18)
        )
        self._walked, self._n, self._inconsistent_n, self._since = (int(count) for count in counts)
        if self._n >= EVIDENCE:
            self.frame = Frame(up.astype(np.float32), forward.astype(np.float32), True, float(gait_amplitude_ms2))

    def _learnt(self) -> Frame:
        up = self._mean[UP] / _length(self._mean[UP])
        back = self._mean[BACK]
        level: Float64Array = np.asarray(back - (back @ up) * up)
        if _length(level) < LEAST:  # no cue: keep the usual forward, made level
            level = np.asarray((self.frame.forward @ up) * up - self.frame.forward)
        forward = -level / max(_length(level), 1e-6)
        return Frame(up.astype(np.float32), forward.astype(np.float32), True, exp(self._log_gait_amplitude))


def settle(windows: Sequence[Window], usual: Frame, rate_hz: float) -> list[Window]:
    """The same windows of one device, in order, under the mounting that all of them show: what a second pass knows.

    A device that was mounted anew has a mounting before and one after; its wearer swings it all the same.
    """
    mounting, frames, begins = Mounting(usual, rate_hz), [usual], [0]
    for i, window in enumerate(windows):
        if ago := mounting.learn(window.xyz):
            begins.append(max(begins[-1], i + 1 - ago))
            frames.append(mounting.frame)
        frames[-1] = mounting.frame
    settled = []
    for frame, begin, end in zip(frames, begins, [*begins[1:], len(windows)], strict=True):
        own = {
            "up": frame.up,
            "forward": frame.forward,
            "calibrated": frame.calibrated,
            "gait_amplitude_ms2": mounting.frame.gait_amplitude_ms2,
        }
        settled += [replace(window, **own) for window in windows[begin:end]]  # type: ignore[arg-type]
    return settled


def walking(xyz: Float32Array, rate_hz: float) -> Step | None:
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
    back /= len(FOLLOWS_S) * max(spread, 1e-6)
    return Step(np.concatenate((gravity, back)), 0.5 * log(power))


@lru_cache(maxsize=8)
def _lags(points: int, rate_hz: float) -> tuple[int, Float64Array, tuple[int, ...]]:
    """The first lag of LAGS_S, the number of products of each from it on, and the lags of FOLLOWS_S."""
    begin, stop = (round(lag * rate_hz) for lag in LAGS_S)
    products = points - np.arange(begin, min(stop + 1, points), dtype=np.float64)
    return begin, products, tuple({max(1, round(seconds * rate_hz)) for seconds in FOLLOWS_S})


def _length(vector: Float64Array) -> float:
    return sqrt(float(vector @ vector))
