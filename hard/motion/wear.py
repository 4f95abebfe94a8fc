"""Windows of one device → whether somebody wears it, as far as its movement shows.

A device that lies on a table gives white noise of its sensor around a constant gravity. A person who sits, stands or
lies moves it: slowly by breath and sway, and in small bursts. So a device counts as not worn where for LOOKED_AT_S its
noise was as strong in slow movement as in fast and the same from second to second, or where nothing moved by more than
a step or two of a coarse sensor. Limits are from the still minutes of ../shared/data, against simulated tables with
noise of 0.005 to 0.1 m/s² in steps of 0, 4 and 15 mg; scripts/FIGURES.md has the figures.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from hard.records import Float32Array

LOOKED_AT_S = 52.0
MOVED_MS2 = 0.8  # a movement of so much within a window is no table's
STEADY = 0.35  # deviation of the seconds' energies over their mean; 0.25 for white noise on three axes
SLOW, SLOW_AXIS = (0.7, 1.5), 2.5  # power of the seconds' means 2 s apart over that of white noise: mean, greatest axis
SLOWER = 1.4  # the same 5 s apart
FAST = (0.8, 3.2)  # power of means of 0.2 s over that of single samples; the grid smooths these
CONSTANT, CONSTANT_MS2 = 0.2, 0.3  # share of seconds in which an axis doesn't change, and how far it may move in all
SAME_MS2 = 1e-3
FLOOR = 1e-7  # (m/s²)²
NOT_WORN_WIDER = 1.45  # a device stays not worn as long as it is within limits so much wider
PARTS = 5  # of a second
STEADY_WINDOWS = 2.2  # by so much the noise of one window may exceed that of the others, or they exceed it
JUDGED_EVERY = 2  # windows; a movement shows without a judgement
SAME_TIME_S = 0.5


class Wear:
    """What the last windows of one device showed. `worn` is true until they show otherwise."""

    __slots__ = ("_end", "_energies", "_kept", "_rate_hz", "_unjudged", "worn")

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz, self._end, self._unjudged, self.worn = rate_hz, -np.inf, JUDGED_EVERY, True
        self._kept: deque[Float32Array] = deque()  # windows (T, 3) that may be of one table, one after another
        self._energies: deque[float] = deque()  # of their noise

    def look(self, start: float, end: float, xyz: Float32Array) -> None:
        """Takes a window (T, 3) from `start` to `end`; one that overlaps the last one taken says nothing new."""
        if self._end - (end - start) < start < self._end - 1e-3:
            return
        moved_ms2 = float((xyz.max(axis=0) - xyz.min(axis=0)).max())
        if moved_ms2 > MOVED_MS2 or not PARTS <= self._rate_hz <= len(xyz):
            self._forget(end)
            return
        steps = (xyz[2:] - xyz[:-2]).ravel()
        energy = float(steps @ steps)
        if abs(start - self._end) > SAME_TIME_S or (moved_ms2 > CONSTANT_MS2 and not self._is_steady(energy)):
            self._forget(end)
        self._end = end
        self._kept.append(xyz)
        self._energies.append(energy)
        self._unjudged += 1
        if len(self._kept) >= max(1, int(LOOKED_AT_S / (end - start))):
            if self._unjudged >= JUDGED_EVERY:
                self._unjudged = 0
                self.worn = not self._like_a_table()
            self._kept.popleft()
            self._energies.popleft()

    def _forget(self, end: float) -> None:
        self.worn, self._end = True, end
        self._unjudged = JUDGED_EVERY
        self._kept.clear()
        self._energies.clear()

    def _is_steady(self, energy: float) -> bool:
        mean = sum(self._energies) / max(1, len(self._energies))
        return mean / STEADY_WINDOWS <= energy <= mean * STEADY_WINDOWS

    def _like_a_table(self) -> bool:
        wider = 1.0 if self.worn else NOT_WORN_WIDER
        part = int(self._rate_hz) // PARTS
        second = part * PARTS
        xyz = np.concatenate([kept[: len(kept) // second * second] for kept in self._kept])
        by_second = xyz.reshape(-1, second, 3)
        constant = float((by_second.max(axis=1) - by_second.min(axis=1) < SAME_MS2).mean())
        moved_ms2 = float((xyz.max(axis=0) - xyz.min(axis=0)).max())
        if constant >= CONSTANT / wider and moved_ms2 <= CONSTANT_MS2 * wider:
            return True
        apart = by_second[:, 2:] - by_second[:, :-2]
        energies = np.einsum("stc,stc->s", apart, apart)
        if float(energies.std()) > STEADY * wider * max(float(energies.mean()), FLOOR):
            return False
        parts = xyz.reshape(-1, part, 3).mean(axis=1)
        means = by_second.mean(axis=1)
        white = _power(parts, 2) * part + FLOOR
        slow = (_power(means, 2) * second + FLOOR) / white
        slower = (_power(means, 5) * second + FLOOR) / white
        fast = float((white / (_power(xyz, 2) + FLOOR)).mean())
        return (
            SLOW[0] / wider <= float(slow.mean()) <= SLOW[1] * wider
            and float(slow.max()) <= SLOW_AXIS * wider
            and float(slower.mean()) <= SLOWER * wider
            and FAST[0] / wider <= fast <= FAST[1] * wider
        )


def _power(means: Float32Array, lag: int) -> Float32Array:
    """The variance (3,) of means (N, 3) by their differences `lag` apart, without what a steady drift adds."""
    return np.asarray((means[lag:] - means[:-lag]).var(axis=0) / 2)
