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
NOT_WORN_WIDER = 1.3  # a device stays not worn as long as it is within limits so much wider
PARTS = 5  # of a second


class Wear:
    """What the last windows of one device showed. `worn` is true until they show otherwise."""

    __slots__ = ("_end", "_energies", "_means", "_powers", "_range", "_rate_hz", "worn")

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz, self._end, self.worn = rate_hz, -np.inf, True
        self._means: deque[Float32Array] = deque()  # of each window without movement: (seconds, PARTS, 3)
        self._powers: deque[Float32Array] = deque()  # of single samples, (3,)
        self._energies: deque[Float32Array] = deque()  # of each second and axis, (seconds, 3)
        self._range: deque[Float32Array] = deque()  # lowest, highest, and constant seconds of each axis, (3, 3)

    def look(self, start: float, end: float, xyz: Float32Array) -> None:
        """Takes a window (T, 3) from `start` to `end`; one that overlaps the last one taken says nothing new."""
        if self._means and self._end - (end - start) < start < self._end - 1e-3:
            return
        second = int(self._rate_hz) // PARTS * PARTS
        seconds = len(xyz) // max(1, second)
        low, high = xyz.min(axis=0), xyz.max(axis=0)
        if not second or not seconds or float((high - low).max()) > MOVED_MS2 or abs(start - self._end) > 0.5:
            self._forget()
            if not second or not seconds or float((high - low).max()) > MOVED_MS2:
                return
        self._end = end
        xyz = xyz[: seconds * second]
        steps = xyz[2:] - xyz[:-2]
        by_second = xyz.reshape(seconds, second, 3)
        apart = by_second[:, 2:] - by_second[:, :-2]
        constant = (by_second.max(axis=1) - by_second.min(axis=1) < SAME_MS2).mean(axis=0)
        self._means.append(by_second.reshape(seconds, PARTS, -1, 3).mean(axis=2))
        self._powers.append((steps * steps).mean(axis=0) / 2)
        self._energies.append(np.einsum("stc,stc->sc", apart, apart))
        self._range.append(np.array((low, high, constant), dtype=np.float32))
        windows = max(1, int(LOOKED_AT_S / (end - start)))
        if len(self._means) >= windows:
            self.worn = not self._like_a_table(second // PARTS)
            for kept in (self._means, self._powers, self._energies, self._range):
                kept.popleft()

    def _forget(self) -> None:
        self.worn, self._end = True, -np.inf
        for kept in (self._means, self._powers, self._energies, self._range):
            kept.clear()

    def _like_a_table(self, part: int) -> bool:
        wider = 1.0 if self.worn else NOT_WORN_WIDER
        ranges = np.array(self._range)
        moved = float((ranges[:, 1].max(axis=0) - ranges[:, 0].min(axis=0)).max())
        if float(ranges[:, 2].mean()) >= CONSTANT / wider and moved <= CONSTANT_MS2 * wider:
            return True
        energies = np.concatenate(self._energies).sum(axis=1)
        if float(energies.std()) > STEADY * wider * max(float(energies.mean()), FLOOR):
            return False
        parts = np.concatenate(self._means)
        means = parts.mean(axis=1)
        white = _power(parts.reshape(-1, 3), 2) * part + FLOOR
        slow = (_power(means, 2) * part * PARTS + FLOOR) / white
        slower = (_power(means, 5) * part * PARTS + FLOOR) / white
        fast = float((white / (np.mean(self._powers, axis=0) + FLOOR)).mean())
        return (
            SLOW[0] / wider <= float(slow.mean()) <= SLOW[1] * wider
            and float(slow.max()) <= SLOW_AXIS * wider
            and float(slower.mean()) <= SLOWER * wider
            and FAST[0] / wider <= fast <= FAST[1] * wider
        )


def _power(means: Float32Array, lag: int) -> Float32Array:
    """The variance (3,) of means (N, 3) by their differences `lag` apart, without what a steady drift adds."""
    return np.asarray((means[lag:] - means[:-lag]).var(axis=0) / 2)
