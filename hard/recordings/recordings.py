"""Labelled recordings on disk → runs of samples with truth, and their windows.

For training, `hard label` and `hard replay`. Knows no file format and no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hard.motion.devices import Devices
from hard.motion.mounting import with_learnt_mounting
from hard.recordings.file_formats import SUFFIXES, read_table
from hard.recordings.gravity import check_unit
from hard.recordings.tables import NoRecordError, NoTimesError, RecordingError, Table
from hard.recordings.times import ascending, in_seconds, is_count, spread, time_unit_of
from hard.records import Float64Array, Samples, Window
from hard.units import ms2_per

MIN_CHECKED_RECORDS = 20  # a shorter file's subjects aren't checked
RUN_GAP_S = 1.0  # a jump of more than this, forward or back, ends a run
MAX_ABS_MS2 = 320.0


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One run of one subject's device at one place of the body: `time` (N,) in s of the device's own clock, rising;
    `xyz` (N, 3) m/s²; `truth` (N,). `place` is None where the file names none; `dataset` is filled in
    where several files are read. `has_gravity` is false where the user has had it used without."""

    subject: str
    time: Float64Array
    xyz: Float64Array
    truth: NDArray[np.str_] | None
    place: str | None = None
    dataset: str | None = None
    has_gravity: bool = True

    @property
    def device(self) -> str:
        """The name of the device: the subject's, and the place's where there is one."""
        return f"{self.subject}@{'-'.join(self.place.split())}" if self.place else self.subject


class LabelledWindow(NamedTuple):
    """A window of a recording; `truth` is None where the file has none or the window holds more than one."""

    window: Window
    truth: str | None
    subject: str
    place: str | None
    dataset: str | None = None


def read(
    path: Path | str,
    *,
    time_unit: str | None = None,
    rate_hz: float | None = None,
    unit: str | None = None,
    columns: Mapping[str, str] | None = None,
    place: str | None = None,
) -> tuple[list[Recording], Counter[str]]:
    """The runs of a recording, by subject and place in the file's order, and rejected records by reason.

    Where `time_unit` doesn't name the unit of times, the median step decides: below 1 it is s, below 1,000 ms, below
    1,000,000 µs, else ns; this is right for any rate between 1 and 1,000 Hz. A file without times, or whose times count
    samples, needs `rate_hz`; it also spaces samples that share a time. Accelerations are in `unit`, by default what the
    header states, else m/s²; they are refused where they fit another unit or hold no gravity, unless `unit` says that
    they are right. `columns` names the columns that HARD doesn't recognise, by what they hold (see `tables.COLUMNS`).
    `place` is where the device was worn in a file that has no column of places. Raises RecordingError.
    """
    path = Path(path)
    table = read_table(path, columns)
    return from_table(table, path, time_unit=time_unit, rate_hz=rate_hz, unit=unit, place=place)


def from_table(
    table: Table, path: Path, *, time_unit: str | None = None, rate_hz: float | None = None, unit: str | None = None,
    place: str | None = None,
) -> tuple[list[Recording], Counter[str]]:  # fmt: skip
    """The same of columns that were read from `path`. Raises RecordingError."""
    if not len(table.xyz):
        raise NoRecordError(path, f"no record could be read ({table.reasons()})")
    if len(table.xyz) < 2 * len(set(table.subject)) and len(table.xyz) > MIN_CHECKED_RECORDS:
        raise RecordingError(
            path,
            "its subjects have a record each, so that column numbers records: "
            "say which names people with --columns subject=NAME, or rename it",
        )
    used_unit = unit or table.unit or "m/s2"
    has_gravity = check_unit(table.xyz, path, used_unit, stated=bool(unit))
    if table.place is None and place:
        table.place = [place] * len(table.subject)
    runs = _runs(table, path, time_unit, rate_hz, ms2_per(used_unit))
    if not runs:
        raise RecordingError(path, f"no record could be used ({table.reasons()})")
    return runs if has_gravity else [replace(run, has_gravity=False) for run in runs], table.rejected


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Every file named, and of each folder named the files that can be recordings, by name, but no gyroscope's. Raises
    RecordingError."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [file for file in _inside(path) if not is_gyroscope_file(file, path)]
        if not inside:
            if count_gyroscope_files([path]):
                raise RecordingError(path, "holds a gyroscope's files alone, by their names")
            raise RecordingError(path, f"holds no recording; their names end in {', '.join(SUFFIXES)}")
        found += inside
    return found


def is_gyroscope_file(file: Path, folder: Path) -> bool:
    """Whether the name of `file` in `folder`, or of a folder between, says that it holds no accelerations."""
    return "gyro" in str(file.relative_to(folder)).lower()


def count_gyroscope_files(paths: Sequence[Path]) -> int:
    """How many files of the folders in `paths` `find_files` leaves out."""
    return sum(is_gyroscope_file(file, path) for path in paths if path.is_dir() for file in _inside(path))


def _inside(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)


def windows(
    recordings: Iterable[Recording], devices: Devices, *, streaming: bool = True, message_s: float = 1.0
) -> Iterator[LabelledWindow]:
    """The windows of `recordings`, each with its truth.

    A subject at a place is one device, with all its runs from all files; devices come in the order of their first run.
    A window has the mounting that the daemon would have known when the window closed; without `streaming` it has the
    one that all windows of the device show (a second pass). Samples are sent in messages of `message_s`.
    """
    by_device: dict[str, list[Recording]] = {}
    for recording in recordings:
        by_device.setdefault(recording.device, []).append(recording)
    for runs in by_device.values():
        found = _streamed(runs, devices, message_s)
        if streaming:
            yield from found
            continue
        labelled = list(found)
        learnt = with_learnt_mounting([one.window for one in labelled], devices.default_mounting, devices.grid.rate_hz)
        yield from (one._replace(window=window) for one, window in zip(labelled, learnt, strict=True))


def _streamed(recordings: Iterable[Recording], devices: Devices, message_s: float) -> Iterator[LabelledWindow]:
    """Pushes recordings through `devices` as a live device sends samples, a message every `message_s`."""
    for recording in recordings:
        time, truth = recording.time, recording.truth
        devices.end_run(recording.device)
        codes = np.zeros(len(time), dtype=np.int64)
        if truth is not None and len(time) > 1:
            codes[1:] = np.cumsum(truth[1:] != truth[:-1])
        begins = np.searchsorted(time, np.arange(time[0] + message_s, time[-1], message_s))
        for part in np.split(np.arange(len(time)), np.unique(begins[begins > 0])):
            if not len(part):
                continue
            last = float(time[part[-1]])
            samples = Samples(recording.device, time[part], recording.xyz[part], received_at=last, received_wall=last)
            closed, _ = devices.push(samples)
            for window in closed:
                begin, stop = np.searchsorted(time, (window.start - 1e-6, window.end - 1e-6))
                one_truth = truth is not None and stop > begin and codes[begin] == codes[stop - 1]
                label = str(truth[begin]) or None if one_truth and truth is not None else None
                yield LabelledWindow(window, label, recording.subject, recording.place, recording.dataset)


def _runs(table: Table, path: Path, time_unit: str | None, rate_hz: float | None, scale: float) -> list[Recording]:
    """Splits by device and at jumps; sorts small steps back; drops repeated times and impossible values."""
    xyz = table.xyz * scale
    truth = np.array(table.truth) if table.truth is not None else None
    devices = list(zip(table.subject, table.place or repeat(None), strict=False))
    order = {device: i for i, device in enumerate(dict.fromkeys(devices))}
    codes = np.array([order[device] for device in devices])
    possible = np.isfinite(xyz).all(axis=1) & (np.abs(xyz) <= MAX_ABS_MS2).all(axis=1)
    table.rejected["out of range"] += int((~possible).sum())
    rows = np.flatnonzero(possible)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    count = np.arange(len(rows)) - np.searchsorted(codes[rows], codes[rows])
    time, plausible = _times(table, path, rows, count, time_unit=time_unit, rate_hz=rate_hz)
    table.rejected["time out of range"] += int((~plausible[rows]).sum())
    rows = rows[plausible[rows]]
    runs: list[Recording] = []
    for device_rows in np.split(rows, np.flatnonzero(np.diff(codes[rows])) + 1) if len(rows) else ():
        own = device_rows if ascending(time[device_rows]) else device_rows[::-1]
        time[own] = spread(time[own], rate_hz)
        jumps = np.flatnonzero(np.abs(np.diff(time[own])) > RUN_GAP_S) + 1
        for part in np.split(own, jumps):
            run = part[np.argsort(time[part], kind="stable")]
            is_new = np.concatenate(([True], np.diff(time[run]) > 1e-6))
            table.rejected["repeated time"] += int((~is_new).sum())
            run = run[is_new]
            subject, place = devices[own[0]]
            runs.append(Recording(subject, time[run], xyz[run], None if truth is None else truth[run], place or None))
    return runs


def _times(
    table: Table, path: Path, rows: NDArray[np.int64], count: NDArray[np.int64], *, time_unit: str | None,
    rate_hz: float | None,
) -> tuple[Float64Array, NDArray[np.bool_]]:  # fmt: skip
    """The time of each record (N,) in s, and which are plausible. `rows` (M,) are the records that are used, one device
    after another, `count` (M,) counts those of each device. Raises NoTimesError."""
    if table.time is None:
        unread = table.examples.get("not a time")
        problem = f"none of its times can be read (first {unread})" if unread else "has no times"
        time = np.zeros(len(table.xyz))
        time[rows] = count
    else:
        time = np.array(table.time, dtype=float)
        if time_unit or table.time_unit or not is_count(time[rows]):
            return in_seconds(time, table.time_unit or time_unit or time_unit_of(time[rows]))
        problem = "its column of times counts samples"
    if rate_hz is None:
        raise NoTimesError(path, f"{problem}, so the sample rate must be given")
    return in_seconds(time / rate_hz, "s")
