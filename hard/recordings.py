"""Labelled recordings on disk → runs of samples with truth, and their windows.

For training, `hard label` and `hard replay`. Reads WISDM v1.1 text (`user,activity,timestamp,x,y,z;`) and CSV with a
header, plain or .gz or .xz. Knows no model.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hard.motion.devices import Devices
from hard.motion.mounting import settle
from hard.records import Floats, Samples, Window

G_MS2 = 9.80665  # standard gravity, m/s²
TIME_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
UNITS = {"m/s2": 1.0, "g": G_MS2}
RUN_GAP_S = 1.0  # a jump of more than this, forward or back, ends a run
MAX_ABS_MS2 = 320.0
COLUMNS = {
    "time": ("t", "time", "timestamp", "time_s"),
    "x": ("x", "acc_x", "ax", "x-axis"),
    "y": ("y", "acc_y", "ay", "y-axis"),
    "z": ("z", "acc_z", "az", "z-axis"),
    "subject": ("subject", "user", "user_id", "subject_id", "id", "device"),
    "truth": ("truth", "label", "activity"),
}


class RecordingError(ValueError):
    """A file that can't be read as a recording; the message is one sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One run of one subject: `time` (N,) in s of the file's own clock, rising; `xyz` (N, 3) m/s²; `truth` (N,)."""

    subject: str
    time: Floats
    xyz: Floats
    truth: NDArray[np.str_] | None


@dataclass(slots=True)
class Table:
    """Columns of a whole file as they came, and what was rejected, by reason."""

    subject: list[str]
    truth: list[str] | None
    time: list[float] | None
    xyz: Floats
    rejected: Counter[str]


def read(
    path: Path | str, *, time_unit: str | None = None, rate_hz: float | None = None, unit: str = "m/s2"
) -> tuple[list[Recording], Counter[str]]:
    """The runs of a recording, by subject in the file's order, and rejected records by reason.

    The time unit, where `time_unit` doesn't name it, follows from the median step: below 1 it is s, below 1,000 ms,
    below 1,000,000 µs, else ns; right for any rate between 1 and 1,000 Hz. A file without times needs `rate_hz`.
    Raises RecordingError.
    """
    path = Path(path)
    try:
        text = _text(path)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(f"{path}: {reason}") from error
    text = text.lstrip()
    head = text[:4096].partition("\n")[0]
    try:
        table = _read_csv(text, path) if _is_header(head) else _read_wisdm(text)
    except csv.Error as error:
        raise RecordingError(f"{path}: {error}") from error
    if not len(table.xyz):
        raise RecordingError(f"{path}: no record could be read ({_told(table.rejected)})")
    return _runs(table, path, time_unit, rate_hz, UNITS[unit]), table.rejected


def windows(
    recordings: Iterable[Recording], devices: Devices, *, streaming: bool = False, message_s: float = 1.0
) -> Iterator[tuple[Window, str | None]]:
    """The windows of `recordings`, each with its truth: None where the file has none or the window holds more than one.

    One device a subject. Its mounting is what all its runs show, for a recording can be read twice; with `streaming` it
    is what the daemon would have known at the time.
    """
    for _, runs in groupby(recordings, key=lambda recording: recording.subject):
        pairs = _streamed(runs, devices, message_s)
        if streaming:
            yield from pairs
            continue
        found, truths = [], []
        for window, truth in pairs:
            found.append(window)
            truths.append(truth)
        yield from zip(settle(found, devices.usual, devices.grid.rate_hz), truths, strict=True)


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


def _text(path: Path) -> str:
    opener: Any = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    with opener(path, "rt", encoding="utf-8-sig") as file:
        return str(file.read())


def _is_header(line: str) -> bool:
    """A header names columns and ends no record; a WISDM record has its time, x, y, z as numbers."""
    fields = [field.strip(' "\t').lower() for field in line.rstrip(";\r").split(",")]
    return {"x", "y", "z"} <= {name for name, aliases in COLUMNS.items() if set(aliases) & set(fields)}


def _read_wisdm(text: str) -> Table:
    """Survives the defects of WISDM v1.1: empty lines, several records a line, missing fields, zero times, zero xyz."""
    rejected: Counter[str] = Counter()
    subject, truth, time, values = [], [], [], []
    for record in text.replace("\n", ";").split(";"):
        if not record or record.isspace():
            continue
        fields = record.split(",")
        if len(fields) == 7 and not fields[6].strip():
            fields.pop()  # a comma before the semicolon
        if len(fields) != 6:
            rejected["wrong number of fields"] += 1
            continue
        try:
            at, xyz = float(fields[2]), (float(fields[3]), float(fields[4]), float(fields[5]))
        except ValueError:
            rejected["not a number"] += 1
            continue
        if at == 0:
            rejected["time is zero"] += 1
        elif xyz == (0.0, 0.0, 0.0):
            rejected["all axes zero"] += 1
        else:
            subject.append(fields[0].strip())
            truth.append(fields[1].strip())
            time.append(at)
            values.append(xyz)
    return Table(subject, truth, time, np.array(values, dtype=float).reshape(-1, 3), rejected)


def _read_csv(text: str, path: Path) -> Table:
    reader = csv.reader(io.StringIO(text))
    header = [field.strip().lower() for field in next(reader)]
    at = {name: next((header.index(a) for a in aliases if a in header), None) for name, aliases in COLUMNS.items()}
    rejected: Counter[str] = Counter()
    subject, truth, time, values = [], [], [], []
    for row in reader:
        if not row or not any(field.strip() for field in row):
            continue
        if len(row) != len(header):
            rejected["wrong number of fields"] += 1
            continue
        try:
            xyz = tuple(float(row[at[axis]]) for axis in "xyz")  # type: ignore[index]
            if at["time"] is not None:
                time.append(float(row[at["time"]]))
        except ValueError:
            rejected["not a number"] += 1
            continue
        values.append(xyz)
        subject.append(row[at["subject"]].strip() if at["subject"] is not None else path.name.partition(".")[0])
        if at["truth"] is not None:
            truth.append(row[at["truth"]].strip())
    return Table(
        subject,
        truth if at["truth"] is not None else None,
        time if at["time"] is not None else None,
        np.array(values, dtype=float).reshape(-1, 3),
        rejected,
    )


def _runs(table: Table, path: Path, time_unit: str | None, rate_hz: float | None, scale: float) -> list[Recording]:
    """Splits by subject and at jumps; sorts small steps back; drops repeated times and impossible values."""
    xyz = table.xyz * scale
    subjects = np.array(table.subject)
    truth = np.array(table.truth) if table.truth is not None else None
    time = None if table.time is None else np.array(table.time, dtype=float)
    real = np.isfinite(xyz).all(axis=1) & (np.abs(xyz) <= MAX_ABS_MS2).all(axis=1)
    if time is not None:
        real &= np.isfinite(time)
    table.rejected["out of range"] += int((~real).sum())
    runs: list[Recording] = []
    order = {subject: i for i, subject in enumerate(dict.fromkeys(table.subject))}
    divisor = 1.0
    if time is not None:
        by_subject = np.argsort(subjects[real], kind="stable")
        divisor = TIME_UNITS[time_unit or time_unit_of(time[real][by_subject])]
    for subject in order:
        rows = np.flatnonzero((subjects == subject) & real)
        if not len(rows):
            continue
        if time is None:
            if rate_hz is None:
                raise RecordingError(f"{path}: has no times, so the sample rate must be given (--rate)")
            at = np.arange(len(rows)) / rate_hz
        else:
            at = time[rows] / divisor
        jumps = np.flatnonzero(np.abs(np.diff(at)) > RUN_GAP_S) + 1
        for part in np.split(np.arange(len(rows)), jumps):
            part = part[np.argsort(at[part], kind="stable")]  # noqa: PLW2901
            fresh = np.concatenate(([True], np.diff(at[part]) > 1e-6))
            table.rejected["repeated time"] += int((~fresh).sum())
            kept = part[fresh]
            runs.append(Recording(subject, at[kept], xyz[rows[kept]], None if truth is None else truth[rows[kept]]))
    return runs


def time_unit_of(time: Floats) -> str:
    """The unit of `time` by its median step: the unit in which the rate lies between 1 and 1,000 Hz."""
    steps = np.diff(time)
    steps = steps[steps > 0]
    if not len(steps):
        return "s"
    step = float(np.median(steps))
    return "s" if step < 1 else "ms" if step < 1e3 else "us" if step < 1e6 else "ns"


def _told(rejected: Counter[str]) -> str:
    return ", ".join(f"{n} × {reason}" for reason, n in rejected.most_common()) or "it is empty"
