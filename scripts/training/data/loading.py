"""Recordings on disk → labelled windows, made by the daemon's own code. Knows no split and no model, prints nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hard.model.tokens import Ids
from hard.motion.gain import gains
from hard.motion.mounting import Frame
from hard.motion.windows import Grid
from hard.recordings import recordings
from hard.recordings.default_rules import default_devices
from hard.recordings.recordings import Recording
from hard.recordings.tables import NoRecordError, NoTimesError, RecordingError, UnitError
from hard.records import Float32Array, Window
from hard.units import UNITS
from training.errors import RefusedError
from training.options import Source

LABEL_ORDER = ("Walking", "Jogging", "Upstairs", "Downstairs", "Sitting", "Standing")
# Stands in until the default mounting is known.
PLACEHOLDER = Frame(np.array([0, 0, 1], dtype=np.float32), np.array([1, 0, 0], dtype=np.float32), calibrated=False)


class Mountings(NamedTuple):
    """`up` and `forward` (N, 3), unit vectors, of windows, and the `gain` (N,) that normalises their gait amplitude."""

    up: Float32Array
    forward: Float32Array
    gain: Float32Array

    def of(self, rows: Ids) -> Mountings:
        return Mountings(*(part[rows] for part in self))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledWindows:
    """Windows in the order of their recordings, each with its `truth` (N,) and `subject` (N,).

    `gait_amplitude_ms2` is what gait amplitudes are normalised to, as in a bundle; with 0, windows stay as they are.
    """

    windows: tuple[Window, ...]
    truth: NDArray[np.str_]
    subject: NDArray[np.str_]
    gait_amplitude_ms2: float = 0.0

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def xyz(self) -> Float32Array:
        """Accelerations (N, T, 3) in m/s²."""
        return np.stack([window.xyz for window in self.windows])

    def of(self, subjects: Sequence[str]) -> LabelledWindows:
        """The windows of `subjects` alone."""
        rows = np.flatnonzero(np.isin(self.subject, list(subjects)))
        return LabelledWindows(
            tuple(self.windows[i] for i in rows), self.truth[rows], self.subject[rows], self.gait_amplitude_ms2
        )

    @property
    def mounting(self) -> Mountings:
        """The mounting of each window."""
        up, forward = (np.stack([getattr(window, axis) for window in self.windows]) for axis in ("up", "forward"))
        return Mountings(
            up, forward, gains([window.gait_amplitude_ms2 for window in self.windows], self.gait_amplitude_ms2)
        )

    def with_default_mounting(self, default: Frame) -> LabelledWindows:
        """The same windows, with the `default` mounting where a subject has never shown its own by walking."""
        windows = tuple(w if w.calibrated else replace(w, up=default.up, forward=default.forward) for w in self.windows)
        return replace(self, windows=windows, gait_amplitude_ms2=default.gait_amplitude_ms2)


def load(paths: Sequence[Path], source: Source) -> tuple[list[Recording], Counter[str]]:
    """The runs of all files, of folders every recording in them, and what was rejected or passed over, by reason.

    A subject's name means the same person in every file. `source.labels` may pair one label with several names of the
    recordings; the other names stay. Raises RefusedError for a file that can't be read or has no truth, and for a name
    that no recording has.
    """
    runs: list[Recording] = []
    rejected = Counter({"file of a gyroscope": recordings.count_gyroscope_files(paths)})
    unit_of = units(source.unit, files(paths))
    for path, unit in unit_of.items():
        try:
            found, refused = recordings.read(
                path, time_unit=source.time_unit, rate_hz=source.recorded_hz, unit=unit, columns=dict(source.columns)
            )
        except UnitError as error:  # of several files it may be the only one in that unit
            advice = error.advice(path.name if len(unit_of) > 1 else "")
            raise RefusedError(f"{path}: {error.measure}: {advice}") from error
        except NoTimesError as error:
            raise RefusedError(f"{error} (--recorded-hz)") from error
        except NoRecordError as error:
            if path in paths:
                raise RefusedError(str(error)) from error
            rejected[f"file without a record: {path.name}"] += 1
            continue
        except RecordingError as error:
            raise RefusedError(str(error)) from error
        if any(run.truth is None for run in found):
            raise RefusedError(f"{path}: has no column of activities, so nothing can be learnt from it")
        runs += found
        rejected += refused
    if not runs:
        raise RefusedError(f"no file holds a record: {', '.join(+rejected)}")
    return _renamed(runs, source.labels), +rejected


def files(paths: Sequence[Path]) -> list[Path]:
    """Every file named, and of each folder those in it that can be recordings, each once. Raises RefusedError."""
    try:
        found = recordings.find_files(paths)
    except RecordingError as error:
        raise RefusedError(str(error)) from error
    if missing := [path for path in found if not path.is_file()]:
        raise RefusedError(f"{missing[0]}: there is no such file")
    resolved = [path.resolve() for path in found]
    if twice := next((path for i, path in enumerate(found) if resolved[i] in resolved[:i]), None):
        raise RefusedError(f"{twice} is named twice: its windows would count double")
    return found


def units(text: str, files: Sequence[Path]) -> dict[Path, str | None]:
    """The stated unit of each file: `text` holds UNIT, for all files, and FILE=UNIT, for the file or folder so named,
    with commas between. Raises RefusedError."""
    found: dict[Path, str | None] = dict.fromkeys(files)
    for part in sorted(filter(None, text.split(",")), key=lambda part: "=" in part):
        name, sign, unit = (piece.strip() for piece in part.rpartition("="))
        if unit not in UNITS:
            raise RefusedError(f"--unit: {unit!r} is none of {', '.join(UNITS)}")
        own = [file for file in files if not sign or Path(name) in (file, Path(file.name), *file.parents)]
        if not own:
            raise RefusedError(f"--unit names {name!r}, but the files are {', '.join(map(str, files))}")
        found |= dict.fromkeys(own, unit)
    return found


def _renamed(runs: Sequence[Recording], labels: Sequence[tuple[str, str]]) -> list[Recording]:
    """The same runs under the `labels`; see `load`. Raises RefusedError for a name that no recording has."""
    target = {name: label for label, name in labels}
    if len(target) != len(labels):
        twice = next(name for _, name in labels if [n for _, n in labels].count(name) > 1)
        raise RefusedError(f"--labels gives {twice!r} to two labels: name it once")
    present = {str(name) for run in runs if run.truth is not None for name in np.unique(run.truth)}
    if unknown := [name for name in target if name not in present]:
        raise RefusedError(f"--labels names {unknown[0]!r}, but the recordings have {', '.join(sorted(present))}")
    if not target:
        return list(runs)
    return [
        replace(run, truth=None if run.truth is None else np.array([target.get(str(t), str(t)) for t in run.truth]))
        for run in runs
    ]


def windows_of(runs: Sequence[Recording], grid: Grid) -> LabelledWindows:
    """Every window of `runs` that holds one truth only. Raises RefusedError when there is none."""
    pairs = [
        (one.window, one.truth)
        for one in recordings.windows(runs, default_devices(grid, PLACEHOLDER), streaming=False)
        if one.truth is not None
    ]
    if not pairs:
        longest_s = max((float(run.time[-1] - run.time[0]) for run in runs), default=0.0)
        raise RefusedError(
            f"no recording holds {grid.length_s:g} s of one activity without a gap; "
            f"the longest run has {longest_s:.3g} s"
        )
    windows, truth = zip(*pairs, strict=True)
    return LabelledWindows(windows, np.array(truth), np.array([w.device for w in windows]))


def ordered(truth: NDArray[np.str_]) -> tuple[str, ...]:
    """The labels that occur, in LABEL_ORDER, the others after them by name."""
    present = set(truth.tolist())
    return (*(label for label in LABEL_ORDER if label in present), *sorted(present - set(LABEL_ORDER)))


def default_mounting(labelled: LabelledWindows) -> Frame:
    """The mean directions over the subjects that have shown theirs, and the geometric mean of their gait amplitudes.

    Where no subject walks, up is mean gravity over all windows, and the gait amplitude is 0: not known.
    """
    shown = {w.device: w for w in labelled.windows if w.calibrated}
    gait_amplitude_ms2 = math.exp(np.mean([math.log(w.gait_amplitude_ms2) for w in shown.values()])) if shown else 0.0
    if shown:
        up, forward = (np.mean([getattr(w, axis) for w in shown.values()], axis=0) for axis in ("up", "forward"))
    else:
        up, forward = labelled.xyz.mean(axis=(0, 1)), PLACEHOLDER.forward
    up = up / max(float(np.linalg.norm(up)), 1e-6)
    level = forward - (forward @ up) * up
    if np.linalg.norm(level) < 1e-3:  # any level direction will do
        level = np.eye(3)[np.abs(up).argmin()]
        level = level - (level @ up) * up
    forward = level / np.linalg.norm(level)
    return Frame(
        up.astype(np.float32),
        forward.astype(np.float32),
        calibrated=False,
        gait_amplitude_ms2=round(gait_amplitude_ms2, 3),
    )
