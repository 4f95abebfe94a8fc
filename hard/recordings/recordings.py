"""Labelled recordings on disk → runs of samples with truth, and their windows.

For training, `hard label` and `hard replay`. Knows no file's format and no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hard.motion.devices import Devices
from hard.motion.mounting import with_learnt_mounting
from hard.recordings.file_formats import (
    SUFFIXES,
    NoRecordError,
    NoTimesError,
    RecordingError,
    Table,
    UnitError,
    read_table,
)
from hard.records import Float64Array, Samples, Window
from hard.units import TIME_UNITS, UNITS

GRAVITY_MS2 = 3.0, 30.0  # the median acceleration of whoever lives on Earth lies between, whatever they do
JUDGED = 20  # records, at least, from which a unit is judged
RUN_GAP_S = 1.0  # a jump of more than this, forward or back, ends a run
MAX_ABS_MS2 = 320.0
MAX_ABS_TIME_S = 1e11  # 3,000 years: a number of 64 bits still tells a sample from the next


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One run of one subject: `time` (N,) in s of the file's own clock, rising; `xyz` (N, 3) m/s²; `truth` (N,)."""

    subject: str
    time: Float64Array
    xyz: Float64Array
    truth: NDArray[np.str_] | None


def read(
    path: Path | str,
    *,
    time_unit: str | None = None,
    rate_hz: float | None = None,
    unit: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> tuple[list[Recording], Counter[str]]:
    """The runs of a recording, by subject in the file's order, and rejected records by reason.

    The time unit, where `time_unit` doesn't name it, follows from the median step: below 1 it is s, below 1,000 ms,
    below 1,000,000 µs, else ns; right for any rate between 1 and 1,000 Hz. A file without times needs `rate_hz`.
    Accelerations are m/s² where `unit` doesn't say otherwise, and refused where gravity says otherwise. `columns` names
    the columns that aren't called as usual. Raises RecordingError.
    """
    path = Path(path)
    table = read_table(path, columns)
    if not len(table.xyz):
        raise NoRecordError(f"{path}: no record could be read ({_told(table.rejected)})")
    if len(table.xyz) < 2 * len(set(table.subject)) and len(table.xyz) > JUDGED:
        raise RecordingError(
            f"{path}: its subjects have a record each, so that column numbers records: "
            "say which names people with --columns subject=NAME, or rename it"
        )
    _check_unit(table.xyz, path, unit)
    runs = _runs(table, path, time_unit, rate_hz, UNITS[unit or "m/s2"])
    if not runs:
        raise RecordingError(f"{path}: no record could be used ({_told(table.rejected)})")
    return runs, table.rejected


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Every file named, and of each folder named the files that can be recordings, by name, but no gyroscope's. Raises
    RecordingError."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [file for file in _inside(path) if not of_gyroscope(file, path)]
        if not inside:
            if gyroscopes([path]):
                raise RecordingError(f"{path}: holds a gyroscope's files alone, by their names")
            raise RecordingError(f"{path}: holds no recording; their names end in {', '.join(SUFFIXES)}")
        found += inside
    return found


def of_gyroscope(file: Path, folder: Path) -> bool:
    """Whether the name of `file` in `folder`, or of a folder between, says that it holds no accelerations."""
    return "gyro" in str(file.relative_to(folder)).lower()


def gyroscopes(paths: Sequence[Path]) -> int:
    """How many files `files_of` passes over."""
    return sum(of_gyroscope(file, path) for path in paths if path.is_dir() for file in _inside(path))


def _inside(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)


def windows(
    recordings: Iterable[Recording], devices: Devices, *, streaming: bool = False, message_s: float = 1.0
) -> Iterator[tuple[Window, str | None]]:
    """The windows of `recordings`, each with its truth: None where the file has none or the window holds more than one.

    One device a subject, subjects in the order in which they first come: all runs of one, from whichever file, stand
    together. Its mounting is what all of them show, for a recording can be read twice; with `streaming` it is what the
    daemon would have known at the time.
    """
    by_subject: dict[str, list[Recording]] = {}
    for recording in recordings:
        by_subject.setdefault(recording.subject, []).append(recording)
    for runs in by_subject.values():
        pairs = _streamed(runs, devices, message_s)
        if streaming:
            yield from pairs
            continue
        found, truths = [], []
        for window, truth in pairs:
            found.append(window)
            truths.append(truth)
        learnt = with_learnt_mounting(found, devices.default_mounting, devices.grid.rate_hz)
        yield from zip(learnt, truths, strict=True)


def _streamed(
    recordings: Iterable[Recording], devices: Devices, message_s: float
) -> Iterator[tuple[Window, str | None]]:
    """Pushes recordings through `devices` as a wearer would send them, a message every `message_s`."""
    for recording in recordings:
        time, truth = recording.time, recording.truth
        devices.end_run(recording.subject)
        codes = np.zeros(len(time), dtype=np.int64)
        if truth is not None and len(time) > 1:
            codes[1:] = np.cumsum(truth[1:] != truth[:-1])
        cuts = np.searchsorted(time, np.arange(time[0] + message_s, time[-1], message_s))
        for part in np.split(np.arange(len(time)), np.unique(cuts[cuts > 0])):
            if not len(part):
                continue
            last = float(time[part[-1]])
            samples = Samples(recording.subject, time[part], recording.xyz[part], received_at=last, received_wall=last)
            closed, _ = devices.push(samples)
            for window in closed:
                begin, stop = np.searchsorted(time, (window.start - 1e-6, window.end - 1e-6))
                single = truth is not None and stop > begin and codes[begin] == codes[stop - 1]
                yield window, str(truth[begin]) or None if single and truth is not None else None


def _check_unit(xyz: Float64Array, path: Path, unit: str | None) -> None:
    """Raises UnitError where the size of `xyz` (N, 3) says another unit. A stated one is believed where it makes
    too little of gravity: that may have been taken out."""
    real = xyz[np.isfinite(xyz).all(axis=1)]
    if len(real) < JUDGED:
        return
    with np.errstate(over="ignore"):
        median = float(np.median(np.linalg.norm(real, axis=1)))
    least, most = GRAVITY_MS2
    if least <= median * UNITS[unit or "m/s2"] <= most or (unit and median * UNITS[unit] < least):
        return
    if likely := next((name for name, scale in UNITS.items() if least <= median * scale <= most), None):
        raise UnitError(
            f"{path}: its median acceleration is {median:.4g}, which looks like {likely}, not {unit or 'm/s2'}: "
            f"say --unit {likely}" + ("" if unit else ", or --unit m/s2 where gravity was taken out")
        )


def _runs(table: Table, path: Path, time_unit: str | None, rate_hz: float | None, scale: float) -> list[Recording]:
    """Splits by subject and at jumps; sorts small steps back; drops repeated times and impossible values."""
    xyz = table.xyz * scale
    truth = np.array(table.truth) if table.truth is not None else None
    place = {subject: i for i, subject in enumerate(dict.fromkeys(table.subject))}
    codes = np.array([place[subject] for subject in table.subject])
    real = np.isfinite(xyz).all(axis=1) & (np.abs(xyz) <= MAX_ABS_MS2).all(axis=1)
    table.rejected["out of range"] += int((~real).sum())
    rows = np.flatnonzero(real)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    if table.time is not None:
        time, near = _seconds(np.array(table.time, dtype=float), rows, table.time_unit or time_unit)
        table.rejected["time out of range"] += int((~near[rows]).sum())
        rows = rows[near[rows]]
    elif rate_hz is not None:
        time = np.zeros(len(codes))
        time[rows] = (np.arange(len(rows)) - np.searchsorted(codes[rows], codes[rows])) / rate_hz
    else:
        raise NoTimesError(f"{path}: has no times, so the sample rate must be given")
    runs: list[Recording] = []
    for own in np.split(rows, np.flatnonzero(np.diff(codes[rows])) + 1) if len(rows) else ():
        at = time[own]
        jumps = np.flatnonzero(np.abs(np.diff(at)) > RUN_GAP_S) + 1
        for part in np.split(np.arange(len(own)), jumps):
            part = part[np.argsort(at[part], kind="stable")]  # noqa: PLW2901
            fresh = np.concatenate(([True], np.diff(at[part]) > 1e-6))
            table.rejected["repeated time"] += int((~fresh).sum())
            kept = own[part[fresh]]
            runs.append(
                Recording(table.subject[own[0]], at[part[fresh]], xyz[kept], None if truth is None else truth[kept])
            )
    return runs


def _seconds(time: Float64Array, rows: NDArray[np.int64], unit: str | None) -> tuple[Float64Array, NDArray[np.bool_]]:
    """`time` (N,) in s, and which of it a clock can show; the unit, where none is stated, follows from `rows`."""
    near = np.abs(time) <= MAX_ABS_TIME_S * max(TIME_UNITS.values())  # not a number is no time either
    divisor = TIME_UNITS[unit or time_unit_of(time[rows][near[rows]])]
    return time / divisor, near & (np.abs(time) <= MAX_ABS_TIME_S * divisor)


def time_unit_of(time: Float64Array) -> str:
    """The unit of `time` by its median step: the unit in which the rate lies between 1 and 1,000 Hz."""
    steps = np.diff(time)
    steps = steps[steps > 0]
    if not len(steps):
        return "s"
    step = float(np.median(steps))
    return "s" if step < 1 else "ms" if step < 1e3 else "us" if step < 1e6 else "ns"


def _told(rejected: Counter[str]) -> str:
    return ", ".join(f"{n} × {reason}" for reason, n in rejected.most_common() if n) or "it is empty"
