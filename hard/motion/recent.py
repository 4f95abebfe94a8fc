"""One device's windows in order → the samples before each of them. Knows no clock and no other device."""

from __future__ import annotations

import numpy as np

from hard.motion.windows import RawWindow
from hard.records import Float32Array, RecentState

OFF_GRID = 1e-3  # steps of the grid that two windows of one run may be apart from a whole number


class Recent:
    """What a device's last windows held, on the grid: up to twice their length, up to the end of the newest."""

    __slots__ = ("_samples", "_start")

    def __init__(self) -> None:
        self._start = -np.inf  # of the newest window
        self._samples: Float32Array = np.empty((0, 3), np.float32)

    def before(self, window: RawWindow, rate_hz: float) -> Float32Array:
        """Takes the device's next window (T, 3); gives the samples (T, 3) of its run just before it, or (0, 3) where
        the run is too young."""
        points, steps = len(window.xyz), (window.start - self._start) * rate_hz
        if 0 < steps <= points + OFF_GRID and abs(steps - round(steps)) < OFF_GRID:
            # A window's ends are not smoothed as its other points are: where two overlap, the first point is the
            # older one's and the last the newer one's.
            inside = int(round(steps) < points)
            until = len(self._samples) - points + round(steps) + inside
            self._samples = np.concatenate((self._samples[:until], window.xyz[inside:]))[-2 * points :]
        else:
            self._samples = window.xyz
        self._start = window.start
        return self._samples[:-points] if len(self._samples) == 2 * points else self._samples[:0]

    def state(self) -> RecentState:
        """What `restore` needs."""
        return RecentState(self._start, self._samples)

    def restore(self, state: RecentState) -> None:
        """Continues from `state`."""
        self._start, self._samples = state.start, state.samples
