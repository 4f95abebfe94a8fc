"""Recordings on disk → labelled windows, made by the daemon's own code. Knows no split and no model, prints nothing."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hard.commands.arguments import acceleration_unit
from hard.motion.features import Known
from hard.motion.mounting import Frame, with_learnt_mounting
from hard.motion.windows import Grid
from hard.recordings import recordings
from hard.recordings.default_rules import default_devices
from hard.recordings.recordings import LabelledWindow, Recording
from hard.recordings.scores import EITHER, alternatives
from hard.recordings.tables import NoGravityError, NoRecordError, NoTimesError, RecordingError, UnitError
from hard.records import Float32Array, Float64Array, Window
from hard.units import stated_place
from training.errors import RefusedError
from training.options import Source

BETWEEN_RUNS_S = 60.0  # in reverse order
COLUMNS = "truth", "subject", "place", "dataset", "group"  # of labelled windows
LABEL_ORDER = ("Walking", "Jogging", "Upstairs", "Downstairs", "Sitting", "Standing")
# Stands in until the default mounting is known.
PLACEHOLDER = Frame(np.array([0, 0, 1], dtype=np.float32), np.array([1, 0, 0], dtype=np.float32), calibrated=False)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledWindows:
    """Windows in the order of their recordings, each with its `truth`, `subject`, `place` ("" where none is stated) and
    `dataset` (N,). A truth may be one of several labels, with EITHER between. The `group` (N,) is what a split assigns
    to a part: the subject, or else the part itself. `windows` have the mounting as it was known at the time; `learnt`
    are the same with the one that all windows of their device show (two-pass).
    """

    windows: tuple[Window, ...]
    truth: NDArray[np.str_]
    subject: NDArray[np.str_]
    place: NDArray[np.str_]
    dataset: NDArray[np.str_]
    group: NDArray[np.str_]
    learnt: tuple[Window, ...] = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def xyz(self) -> Float32Array:
        """Accelerations (N, T, 3) in m/s²."""
        return np.stack([window.xyz for window in self.windows])

    def at(self, rows: NDArray[np.int64]) -> LabelledWindows:
        """The windows at `rows` alone."""
        return LabelledWindows(
            tuple(self.windows[i] for i in rows),
            *(getattr(self, name)[rows] for name in COLUMNS),
            learnt=tuple(self.learnt[i] for i in rows),
        )

    def of(self, groups: Sequence[str]) -> LabelledWindows:
        """The windows of `groups` alone."""
        return self.at(np.flatnonzero(np.isin(self.group, list(groups))))

    @property
    def of_one_label(self) -> LabelledWindows:
        """Without those whose truth is one of several labels."""
        return self.at(np.flatnonzero(np.char.find(self.truth, EITHER) < 0))

    @property
    def two_pass(self) -> LabelledWindows:
        """The same windows with the mounting that their device shows in the end."""
        return replace(self, windows=self.learnt)

    @property
    def stated_place(self) -> list[str | None]:
        """The place (N) of PLACES that each window's own names."""
        return [stated_place(place) for place in self.place.tolist()]

    @property
    def placed(self) -> LabelledWindows:
        """The same windows, each with its stated place: else the model hears none."""
        pairs = zip(self.windows, self.stated_place, strict=True)
        return replace(self, windows=tuple(replace(window, place=place) for window, place in pairs))

    @property
    def calibrated(self) -> NDArray[np.bool_]:
        """Whether the mounting of each window (N,) was learnt from its device."""
        return np.array([window.calibrated for window in self.windows], dtype=bool)

    @property
    def known(self) -> Known:
        """What is known beside each window."""
        return Known.of(self.windows)

    @property
    def weights(self) -> Float64Array:
        """How often each window (N,) is to be learnt from: 1/√n of the n that share data set, place and truth, so that
        hours in one pocket don't drown minutes at a wrist."""
        groups = list(zip(self.dataset.tolist(), self.stated_place, self.truth.tolist(), strict=True))
        count = Counter(groups)
        return np.array([1 / math.sqrt(count[group]) for group in groups])

    def with_default_mounting(self, default: Frame) -> LabelledWindows:
        """The same windows, with the `default` mounting where a subject has never shown its own by walking."""
        windows, learnt = (
            tuple(w if w.calibrated else replace(w, up=default.up, forward=default.forward) for w in windows)
            for windows in (self.windows, self.learnt)
        )
        return replace(self, windows=windows, learnt=learnt)


def load(paths: Sequence[Path], source: Source, *, drop: bool = True) -> tuple[list[Recording], Counter[str]]:
    """The runs of all files, of folders every recording in them, and what was rejected or passed over, by reason.

    A subject's name means the same person in every file; a file's data set is its name without suffixes unless
    `source.dataset` says otherwise. `source.labels` may pair one label with several names of the recordings, or several
    labels, with EITHER between, with one; the other names stay. What is in `source.drop` loses its truth, unless that
    is left to `without`: its samples stay, for a device learns from them. Raises RefusedError for a file that can't be
    read or has no truth, and for a name that no recording has.
    """
    runs: list[Recording] = []
    rejected = Counter({"file of a gyroscope": recordings.count_gyroscope_files(paths)})
    known = files(paths)
    unit_of, stated_place = units(source.unit, known), per_file("--place", source.place, known)
    dataset_of = per_file("--dataset", source.dataset, known)
    for path in known:
        try:
            found, refused = recordings.read(
                path,
                time_unit=source.time_unit,
                rate_hz=source.recorded_hz,
                unit=unit_of[path],
                columns=dict(source.columns),
                place=stated_place[path],
            )
        except (UnitError, NoGravityError) as error:  # of several files it may be the only one in that unit
            advice = error.advice(path.name if len(known) > 1 else "")
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
        dataset = dataset_of[path] or path.name.partition(".")[0]
        runs += [replace(run, dataset=dataset) for run in found]
        rejected += refused
    if not runs:
        raise RefusedError(f"no file holds a record: {', '.join(+rejected)}")
    runs = _renamed(runs, source)
    return without(runs, source.drop) if drop else runs, +rejected


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
    """The stated unit of each file; `text` is as `per_file` has it. Raises RefusedError."""
    found = per_file("--unit", text, files)
    for unit in filter(None, found.values()):
        try:
            acceleration_unit(unit)
        except ArgumentTypeError as error:
            raise RefusedError(f"--unit: {error}") from error
    return found


def per_file(option: str, text: str, files: Sequence[Path]) -> dict[Path, str | None]:
    """What `text` says of each file: it holds VALUE, for all files, and FILE=VALUE, for the file or folder so named
    (its path, or its last part), with commas between. Raises RefusedError."""
    found: dict[Path, str | None] = dict.fromkeys(files)
    for part in sorted(filter(None, text.split(",")), key=lambda part: "=" in part):
        name, sign, value = (piece.strip() for piece in part.rpartition("="))
        own = [file for file in files if not sign or Path(name) in _names_of(file)]
        if not own or not value:
            raise RefusedError(f"{option} names {name!r}, but the files are {', '.join(map(str, files))}")
        found |= dict.fromkeys(own, value)
    return found


def _names_of(file: Path) -> set[Path]:
    paths = (file, *file.parents)
    return {*paths, *(Path(path.name) for path in paths)}


def _renamed(runs: Sequence[Recording], source: Source) -> list[Recording]:
    """The same runs under the labels of `source`; see `load`. Raises RefusedError for a name that no recording has."""
    target = {name: label for label, name in source.labels}
    runs = _in_one_case(runs, target)
    if len(target) != len(source.labels):
        twice = next(name for _, name in source.labels if [n for _, n in source.labels].count(name) > 1)
        raise RefusedError(f"--labels gives {twice!r} to two labels: name it once")
    named = [np.unique(run.truth, return_inverse=True) for run in runs if run.truth is not None]
    present = {str(name) for names, _ in named for name in names}
    if unknown := [name for name in target if name not in present]:
        raise RefusedError(f"--labels names {unknown[0]!r}, but the recordings have {', '.join(sorted(present))}")
    present = {target.get(name, name) for name in present}
    if unknown := [name for name in source.drop if name not in present]:
        raise RefusedError(f"--drop names {unknown[0]!r}, but the recordings have {', '.join(sorted(present))}")
    if not target:
        return list(runs)
    return [
        replace(run, truth=np.array([target.get(str(name), str(name)) for name in names])[codes])
        for run, (names, codes) in zip(runs, named, strict=True)
    ]


def without(runs: Sequence[Recording], labels: Sequence[str]) -> list[Recording]:
    """The same runs, in which none of `labels` is a truth."""
    if not labels:
        return list(runs)
    return [
        run if run.truth is None else replace(run, truth=np.where(np.isin(run.truth, labels), "", run.truth))
        for run in runs
    ]


def _in_one_case(runs: Sequence[Recording], kept: Collection[str]) -> list[Recording]:
    """`runs` in which names that differ by case only are one: as LABEL_ORDER has it, else as the first file does. The
    names in `kept` stay."""
    form = {label.casefold(): label for label in LABEL_ORDER}
    found = []
    for run in runs:
        names, codes = np.unique(run.truth if run.truth is not None else [], return_inverse=True)
        one = [str(name) if name in kept else form.setdefault(name.casefold(), str(name)) for name in names.tolist()]
        found.append(replace(run, truth=np.array(one, dtype=np.str_)[codes]))
    return found


def windows_of_lives(lives: Iterable[Sequence[Recording]], grid: Grid) -> LabelledWindows:
    """Every window of `lives` that holds one truth only, each life heard by a device that knows nothing yet. Their
    mounting is that of the time in both passes."""
    every = [one for life in lives for one in recordings.windows(life, default_devices(grid, PLACEHOLDER))]
    found = [one for one in every if one.truth is not None]
    return _labelled(found, [one.window for one in found])


def windows_of(runs: Sequence[Recording], grid: Grid, *, every: bool = False) -> LabelledWindows:
    """The windows of `runs` that hold one truth only; with `every` also the others, whose truth is "". Raises
    RefusedError where no window has a truth."""
    found: list[LabelledWindow] = []
    learnt: list[Window] = []
    streamed = recordings.windows(runs, default_devices(grid, PLACEHOLDER))
    for _, device in groupby(streamed, key=lambda one: one.window.device):
        own = list(device)
        two_pass = with_learnt_mounting([one.window for one in own], PLACEHOLDER, grid.rate_hz)
        learnt += [window for one, window in zip(own, two_pass, strict=True) if every or one.truth is not None]
        found += [one for one in own if every or one.truth is not None]
    if not any(one.truth for one in found):
        longest_s = max((float(run.time[-1] - run.time[0]) for run in runs), default=0.0)
        raise RefusedError(
            f"no recording holds {grid.length_s:g} s of one activity without a gap; "
            f"the longest run has {longest_s:.3g} s"
        )
    return _labelled(found, learnt)


def _labelled(found: Sequence[LabelledWindow], learnt: Sequence[Window]) -> LabelledWindows:
    windows, truth, subject, place, dataset = zip(*found, strict=True) if found else [()] * 5
    columns = (*([name or "" for name in column] for column in (truth, subject, place, dataset)), subject)
    return LabelledWindows(windows, *(np.array(column, dtype=np.str_) for column in columns), learnt=tuple(learnt))


def reversed_order(runs: Sequence[Recording]) -> list[Recording]:
    """The runs of each device in reverse order, with clocks that rise all the same: still activities come before the
    first steps where they came after them."""
    by_device: dict[str, list[Recording]] = {}
    for run in runs:
        by_device.setdefault(run.device, []).append(run)
    found = []
    for own in by_device.values():
        now = 0.0
        for run in reversed(own):
            found.append(replace(run, time=run.time - run.time[0] + now))
            now = float(found[-1].time[-1]) + BETWEEN_RUNS_S
    return found


def ordered(truth: NDArray[np.str_]) -> tuple[str, ...]:
    """The labels that occur, alone or with others in one truth, in LABEL_ORDER, the others after them by name."""
    present = {label for name in set(truth.tolist()) for label in alternatives(name)}
    return (*(label for label in LABEL_ORDER if label in present), *sorted(present - set(LABEL_ORDER)))


def default_mounting(labelled: LabelledWindows) -> Frame:
    """The mean directions of the subjects who have shown theirs; where no subject walks, up is mean gravity over all
    windows."""
    shown = {w.device: w for w in labelled.learnt if w.calibrated}
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
    return Frame(up.astype(np.float32), forward.astype(np.float32), calibrated=False)
