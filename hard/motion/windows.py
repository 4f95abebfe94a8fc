"""One device's samples in device time in, raw windows on the bundle's grid out.

The grid starts at the first sample of a run: windows start at `run_start + k·hop`, `end = start + length`, grid points
are at `start + i/rate`. A window closes on the sample that reaches its last grid point. A silence over `max_gap_s` ends
the run. A grid value is the mean of the interpolated samples over a grid step around its point, whatever their rate:
this is a low-pass filter against aliasing, and a device that samples at the grid's rate gives the same values as a
faster one. Knows no arrival times and no other device.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hard.records import BufferState, CounterDelta, Float32Array, Float64Array

MIN_HOP_S = 0.001
MAX_GRID_VALUE = 100_000  # of each length, rate and number of points: a greater one is a mistake
SAME_TIME_S = 1e-6  # two samples closer than this are duplicates
COVERED_STEPS = 3.0  # a grid point is covered where its neighbouring samples lie within so many steps of the grid


def grid_points(length_s: float, rate_hz: float) -> int:
    """How many grid points a window of `length_s` at `rate_hz` has. Raises ValueError where these fit no grid."""
    _check_value("length_s", length_s)
    _check_value("rate_hz", rate_hz)
    points = round(length_s * rate_hz)
    if abs(points - length_s * rate_hz) > 1e-6 or not 2 <= points <= MAX_GRID_VALUE:
        raise ValueError(f"{length_s} s at {rate_hz} Hz is not a whole number of grid points")
    return points


def _check_value(name: str, value: float) -> None:
    if not 0 < value <= MAX_GRID_VALUE:
        raise ValueError(f"{name} must be above 0 and at most {MAX_GRID_VALUE:,}, not {value}")


@dataclass(frozen=True, slots=True)
class Grid:
    """Where windows lie: length and hop in s, grid rate in Hz, the rules for gaps, and the bound of a buffer. Raises
    ValueError for values that make no grid."""

    length_s: float
    rate_hz: float
    hop_s: float
    max_gap_s: float
    min_coverage: float
    max_rate_hz: float
    offsets: Float64Array = field(init=False, repr=False, compare=False)
    edges: Float64Array = field(init=False, repr=False, compare=False)  # (T - 1,) halfway between the points
    covered_step_s: float = field(init=False, repr=False, compare=False)
    max_samples: int = field(init=False, repr=False, compare=False)  # of one buffer
    max_chunk: int = field(init=False, repr=False, compare=False)  # samples that fit beside those of an open window

    def __post_init__(self) -> None:
        points = grid_points(self.length_s, self.rate_hz)
        for name in ("hop_s", "max_gap_s", "max_rate_hz"):
            _check_value(name, getattr(self, name))
        if self.hop_s < MIN_HOP_S:  # each second of samples closes 1 / hop windows
            raise ValueError(f"hop_s must be at least {MIN_HOP_S:g} s, not {self.hop_s}")
        offsets = np.arange(points) / self.rate_hz
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "edges", (offsets[1:] + offsets[:-1]) / 2)
        object.__setattr__(self, "covered_step_s", COVERED_STEPS / self.rate_hz + SAME_TIME_S)
        object.__setattr__(self, "max_samples", int(self.max_rate_hz * (self.length_s + self.max_gap_s)) + 1)
        object.__setattr__(self, "max_chunk", int(self.max_rate_hz * self.max_gap_s) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class RawWindow:
    """A closed window without its device: `xyz` (T, 3) m/s² over [start, end), and its coverage (see `Window`)."""

    start: float
    end: float
    xyz: Float32Array
    coverage: float


class WindowBuffer:
    """Holds one device's samples until no open window needs them. `push` takes sorted times only."""

    __slots__ = ("_grid", "_next_window", "_run_start", "_time", "_used", "_xyz")

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._run_start: float | None = None  # time of the run's first sample
        self._next_window = 0  # index of the oldest open window
        self._time: Float64Array
        self._xyz: Float64Array
        self._used: NDArray[np.bool_]
        self._clear()

    def __len__(self) -> int:
        return len(self._time)

    @property
    def open_start(self) -> float:
        """Start of the oldest open window; minus infinity before the first sample."""
        return -np.inf if self._run_start is None else self._run_start + self._next_window * self._grid.hop_s

    @property
    def late_before(self) -> float:
        """Samples before it serve no window any more. Where windows don't overlap, one in order is never late."""
        return min(self.open_start, float(self._time[-1])) if len(self._time) else -np.inf

    def state(self) -> BufferState:
        """What `restore` needs; the arrays are the buffer's own."""
        return BufferState(self._run_start, self._next_window, self._time, self._xyz, self._used)

    def restore(self, state: BufferState) -> None:
        """Continues from the `state` of a buffer with the same grid; `state.used` becomes the buffer's own."""
        self._run_start, self._next_window = state.run_start, state.next_window
        self._time, self._xyz, self._used = state.time, state.xyz, state.used

    def push(self, time: Float64Array, xyz: Float64Array) -> tuple[list[RawWindow], CounterDelta]:
        """Adds samples `time` (N,) sorted, `xyz` (N, 3) m/s²; gives the windows that they close, oldest first."""
        gap_s, chunk = self._grid.max_gap_s + SAME_TIME_S, self._grid.max_chunk
        if len(time) <= chunk and time[-1] - time[0] <= gap_s:
            return self._push_chunk(time, xyz)
        breaks = np.flatnonzero(time[1:] - time[:-1] > gap_s) + 1
        windows: list[RawWindow] = []
        delta = CounterDelta()
        # A long message is added in chunks, so that windows close in between and free the buffer.
        for begin, stop in pairwise(sorted({*range(0, len(time), chunk), *breaks.tolist(), len(time)})):
            closed, step = self._push_chunk(time[begin:stop], xyz[begin:stop])
            windows += closed
            delta += step
        return windows, delta

    def end_run(self) -> CounterDelta:
        """Ends the run and empties the buffer. The next sample starts a new grid."""
        used = int(np.count_nonzero(self._used))
        delta = CounterDelta(used=used, unused=len(self._used) - used)
        self._run_start, self._next_window = None, 0
        self._clear()
        return delta

    def _clear(self) -> None:
        self._time, self._xyz, self._used = np.empty(0), np.empty((0, 3)), np.empty(0, dtype=bool)

    def _push_chunk(self, time: Float64Array, xyz: Float64Array) -> tuple[list[RawWindow], CounterDelta]:
        """Adds samples with no gap between them."""
        n, late, ended, runs = len(time), 0, None, 0
        if self._run_start is not None and time[0] - self._time[-1] > self._grid.max_gap_s + SAME_TIME_S:
            ended = self.end_run()
        if self._run_start is None:
            self._run_start, runs = float(time[0]), 1
        elif time[0] < self.late_before - SAME_TIME_S:
            late = int(np.searchsorted(time, self.late_before - SAME_TIME_S))
            time, xyz = time[late:], xyz[late:]
        time, xyz = self._without_duplicates(time, xyz)
        duplicate = n - late - len(time)
        free = max(0, self._grid.max_samples - len(self._time))
        surplus = max(0, len(time) - free)
        accepted = len(time) - surplus
        missing = self._insert(time[:accepted], xyz[:accepted]) if accepted else 0
        windows, low, used, unused = self._close_windows()
        delta = CounterDelta(
            decoded=n,
            accepted=accepted,
            late=late,
            duplicate=duplicate,
            out_of_range=surplus,
            used=used,
            unused=unused,
            missing=missing,
            runs=runs,
            windows_closed=len(windows) + low,
            windows_low_coverage=low,
        )
        return windows, delta + ended if ended else delta

    def _without_duplicates(self, time: Float64Array, xyz: Float64Array) -> tuple[Float64Array, Float64Array]:
        if len(time) > 1 and (time[1:] - time[:-1]).min() <= SAME_TIME_S:
            keep = np.concatenate(([True], time[1:] - time[:-1] > SAME_TIME_S))
            time, xyz = time[keep], xyz[keep]
        if len(time) and len(self._time) and time[0] <= self._time[-1] + SAME_TIME_S:
            at = np.searchsorted(self._time, time - SAME_TIME_S)
            nearest = self._time[np.minimum(at, len(self._time) - 1)]
            fresh = np.abs(nearest - time) > SAME_TIME_S
            time, xyz = time[fresh], xyz[fresh]
        return time, xyz

    def _insert(self, time: Float64Array, xyz: Float64Array) -> int:
        """Inserts new samples in order of time; gives how many samples seem to be missing before them."""
        in_order = not len(self._time) or time[0] > self._time[-1]
        missing = 0
        if in_order:
            missing = self._count_missing(time)
        self._time = np.concatenate((self._time, time))
        self._xyz = np.concatenate((self._xyz, xyz))
        self._used = np.concatenate((self._used, np.zeros(len(time), dtype=bool)))
        if not in_order:
            order = np.argsort(self._time, kind="stable")
            self._time, self._xyz, self._used = self._time[order], self._xyz[order], self._used[order]
        return missing

    def _count_missing(self, time: Float64Array) -> int:
        max_step = self._grid.covered_step_s
        gap_before = len(self._time) and time[0] - self._time[-1] > max_step
        if not gap_before and (len(time) < 2 or (time[1:] - time[:-1]).max() <= max_step):
            return 0
        with_last = np.concatenate((self._time[-1:], time))
        steps = with_last[1:] - with_last[:-1]
        return int(np.sum(np.round(steps[steps > max_step] * self._grid.rate_hz) - 1))

    def _close_windows(self) -> tuple[list[RawWindow], int, int, int]:
        """Closes every window that is complete, then drops samples that no open window needs.

        Gives the windows, the count of those with low coverage, and how many of the dropped samples a window used, and
        how many none did.
        """
        grid, windows, low, start = self._grid, [], 0, self.open_start
        reach = self._time[-1] + SAME_TIME_S - grid.offsets[-1] if len(self._time) else -np.inf
        while start <= reach:
            window = self._raw_window(start)
            if window.coverage >= grid.min_coverage:
                windows.append(window)
                begin, last = self._time.searchsorted((start - SAME_TIME_S, start + grid.offsets[-1] - SAME_TIME_S))
                self._used[begin : last + 1] = True
            else:
                low += 1
            self._next_window += 1
            start = self.open_start
        if len(self._time) < 2 or self._time[1] > start + SAME_TIME_S:
            return windows, low, 0, 0
        # One sample before the oldest open window stays: its first grid point may lie between two samples.
        drop = int(self._time.searchsorted(start + SAME_TIME_S, side="right")) - 1
        used = int(np.count_nonzero(self._used[:drop]))
        self._time, self._xyz, self._used = self._time[drop:], self._xyz[drop:], self._used[drop:]
        return windows, low, used, drop - used

    def _raw_window(self, start: float) -> RawWindow:
        """The window that starts at `start`: means around the grid points, at its two ends interpolated."""
        grid = self._grid
        points = start + grid.offsets
        on_grid = self._samples_on_grid(points)
        if on_grid is not None:
            xyz = on_grid.copy()
            xyz[1:-1] += (on_grid[:-2] - 2 * on_grid[1:-1] + on_grid[2:]) / 8  # `_step_means` of samples a step apart
            return RawWindow(start, start + grid.length_s, xyz.astype(np.float32), 1.0)
        right = np.minimum(np.maximum(self._time.searchsorted(points), 1), len(self._time) - 1)
        left = right - 1
        before, after = self._time[left], self._time[right]
        step = after - before
        weight = np.minimum(np.maximum((points - before) / step, 0.0), 1.0)
        low = self._xyz[left]
        xyz = low + weight[:, None] * (self._xyz[right] - low)
        xyz[1:-1] = self._step_means(start + grid.edges)
        covered, coverage = step <= grid.covered_step_s, 1.0
        if not covered.all():
            covered |= np.minimum(np.abs(points - before), np.abs(after - points)) <= SAME_TIME_S
            coverage = float(covered.mean())
        return RawWindow(start, start + grid.length_s, xyz.astype(np.float32), coverage)

    def _samples_on_grid(self, points: Float64Array) -> Float64Array | None:
        """The samples (T, 3) themselves where the device samples at the grid's `points` (T,), as many do; else None."""
        begin = int(self._time.searchsorted(points[0] - SAME_TIME_S))
        time = self._time[begin : begin + len(points)]
        if len(time) < len(points) or not abs(time[-1] - points[-1]) <= SAME_TIME_S:
            return None
        if np.abs(time - points).max() > SAME_TIME_S:
            return None
        return self._xyz[begin : begin + len(points)]

    def _step_means(self, edges: Float64Array) -> Float64Array:
        """Means (n - 1, 3) of the interpolated samples between `edges` (n,), by their integral."""
        begin, stop = self._time.searchsorted((edges[0], edges[-1]))
        time, xyz = self._time[begin - 1 : stop + 1], self._xyz[begin - 1 : stop + 1]
        steps = (time[1:] - time[:-1])[:, None]
        slopes = (xyz[1:] - xyz[:-1]) / steps
        areas = (xyz[1:] + xyz[:-1]) / 2 * steps
        sums = np.concatenate((np.zeros((1, 3)), areas.cumsum(axis=0)))
        at = time.searchsorted(edges) - 1
        past = (edges - time[at])[:, None]
        integral = sums[at] + past * (xyz[at] + past / 2 * slopes[at])
        return np.asarray((integral[1:] - integral[:-1]) / (edges[1:] - edges[:-1])[:, None])
