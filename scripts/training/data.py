"""Recordings on disk → windows with one truth each, cut by the daemon's own code. Knows no split and no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hard import recordings
from hard.motion.devices import Devices
from hard.motion.windows import Grid
from hard.recordings import Recording, RecordingError
from hard.records import Singles, Window
from training.guards import RefusedError

USUAL_ORDER = ("Walking", "Jogging", "Upstairs", "Downstairs", "Sitting", "Standing")
NO_UP = np.array([0, 0, 1], dtype=np.float32)  # stands in until the upright direction is known


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Windows in the order of their recordings, each with its `truth` (N,) and `subject` (N,)."""

    windows: tuple[Window, ...]
    truth: NDArray[np.str_]
    subject: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def xyz(self) -> Singles:
        """Accelerations (N, T, 3) in m/s²."""
        return np.stack([window.xyz for window in self.windows])

    def of(self, subjects: Sequence[str]) -> Labelled:
        """The windows of `subjects` alone."""
        rows = np.flatnonzero(np.isin(self.subject, list(subjects)))
        return Labelled(tuple(self.windows[i] for i in rows), self.truth[rows], self.subject[rows])

    def with_up(self, up: Singles) -> Labelled:
        """The same windows with the upright direction `up` (3,)."""
        return replace(self, windows=tuple(replace(window, up=up) for window in self.windows))


def load(
    paths: Sequence[Path], time_unit: str | None, recorded_hz: float | None, unit: str
) -> tuple[list[Recording], Counter[str]]:
    """The runs of all files, and rejected records by reason. A subject's name means the same person in every file.

    Raises RefusedError for a file that can't be read or has no truth.
    """
    runs: list[Recording] = []
    rejected: Counter[str] = Counter()
    for path in paths:
        try:
            found, refused = recordings.read(path, time_unit=time_unit, rate_hz=recorded_hz, unit=unit)
        except RecordingError as error:
            raise RefusedError(str(error)) from error
        if any(run.truth is None for run in found):
            raise RefusedError(f"{path}: has no column of activities, so nothing can be learnt from it")
        runs += found
        rejected += refused
    return runs, +rejected


def cut(runs: Sequence[Recording], grid: Grid) -> Labelled:
    """Every window of `runs` that holds one truth only. Raises RefusedError when there is none."""
    pairs = [(w, truth) for w, truth in recordings.windows(runs, Devices(grid, NO_UP)) if truth is not None]
    if not pairs:
        raise RefusedError(f"no recording holds {grid.length_s:g} s of one activity without a gap")
    windows, truth = zip(*pairs, strict=True)
    return Labelled(windows, np.array(truth), np.array([w.device for w in windows]))


def ordered(truth: NDArray[np.str_]) -> tuple[str, ...]:
    """The labels that occur, in the usual order, unusual ones after by name."""
    present = set(truth.tolist())
    return (*(label for label in USUAL_ORDER if label in present), *sorted(present - set(USUAL_ORDER)))


def upright(labelled: Labelled) -> Singles:
    """The direction (3,) that usually points up: mean unit gravity while walking, of everything where nobody walks."""
    rows = labelled.truth == "Walking"
    gravity = labelled.xyz[rows if rows.any() else slice(None)].mean(axis=1)
    mean = (gravity / np.maximum(np.linalg.norm(gravity, axis=1, keepdims=True), 1e-6)).mean(axis=0)
    length = float(np.linalg.norm(mean))
    return np.asarray(mean / length if length > 1e-3 else NO_UP, dtype=np.float32)
