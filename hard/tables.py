"""A recording on disk → its columns as they came, and what was rejected, by reason.

Reads WISDM text (v1.1, `user,activity,timestamp,x,y,z;`, and 2019, the same with a letter for the activity), delimited
text with a header, and Parquet; text plain or .gz, .bz2, .xz. Knows no units and no runs.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hard.records import Floats

# What columns are usually called, in lower case.
COLUMNS = {
    "time": ("t", "time", "timestamp", "time_s"),
    "x": ("x", "acc_x", "ax", "x-axis"),
    "y": ("y", "acc_y", "ay", "y-axis"),
    "z": ("z", "acc_z", "az", "z-axis"),
    "subject": ("subject", "user", "user_id", "subject_id", "id", "device"),
    "truth": ("truth", "label", "activity"),
}
# activity_key.txt of "WISDM Smartphone and Smartwatch Activity and Biometrics Dataset" (Weiss 2019); N isn't used.
WISDM_2019 = {
    "A": "Walking",
    "B": "Jogging",
    "C": "Stairs",
    "D": "Sitting",
    "E": "Standing",
    "F": "Typing",
    "G": "Brushing Teeth",
    "H": "Eating Soup",
    "I": "Eating Chips",
    "J": "Eating Pasta",
    "K": "Drinking",
    "L": "Eating Sandwich",
    "M": "Kicking",
    "O": "Playing Catch",
    "P": "Dribbling",
    "Q": "Writing",
    "R": "Clapping",
    "S": "Folding Clothes",
}
DELIMITERS = ",;\t"
SUFFIXES = (".txt", ".csv", ".tsv", ".parquet", ".gz", ".bz2", ".xz")  # of files that a folder is searched for


class RecordingError(ValueError):
    """A file that can't be read as a recording; the message is one sentence."""


class NoRecordError(RecordingError):
    """A file without anything that could be a sample, such as a read-me."""


class NoTimesError(RecordingError):
    """A file that tells no times, where no rate was given."""


@dataclass(slots=True)
class Table:
    """Columns of a whole file as they came, `xyz` (N, 3), and what was rejected, by reason; `time_unit` where it is
    certain."""

    subject: list[str]
    truth: list[str] | None
    time: list[float] | None
    xyz: Floats
    rejected: Counter[str]
    time_unit: str | None = None


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> Table:
    """The table in `path`; `columns` names the columns that aren't called as usual, by what they hold (see COLUMNS).

    Raises RecordingError.
    """
    columns = columns or {}
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path, columns)
    try:
        text = _text(path).lstrip()
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(f"{path}: {reason}") from error
    head = text[:4096].partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    fields = [field.strip(' "\t').lower() for field in head.rstrip(";\r").split(delimiter)]
    if not columns and not {"x", "y", "z"} <= {name for name, aliases in COLUMNS.items() if set(aliases) & set(fields)}:
        return _read_wisdm(text)
    try:
        rows = csv.reader(io.StringIO(text), delimiter=delimiter)
        header = next(rows, [])
        return _read_rows(rows, _places(header, columns, path), len(header), path)
    except csv.Error as error:
        raise RecordingError(f"{path}: {error}") from error


def _text(path: Path) -> str:
    opener: Any = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix.lower(), open)
    with opener(path, "rt", encoding="utf-8-sig") as file:
        return str(file.read())


def _places(header: Sequence[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    """Where each kind of column stands. Raises RecordingError for a named one that isn't there, or lacking axes."""
    found = [name.strip().lower() for name in header]
    places = {}
    for kind, aliases in COLUMNS.items():
        wanted = (columns[kind].lower(),) if kind in columns else aliases
        place = next((found.index(name) for name in wanted if name in found), None)
        if place is not None:
            places[kind] = place
        elif kind in columns or kind in "xyz":
            missing = columns.get(kind, kind)
            raise RecordingError(f"{path}: has no column {missing!r}; it has {', '.join(map(str, header))}")
    return places


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
    if set(truth) <= set(WISDM_2019):
        truth = [WISDM_2019[code] for code in truth]
    return Table(subject, truth, time, np.array(values, dtype=float).reshape(-1, 3), rejected)


def _read_rows(rows: Iterable[Sequence[Any]], at: Mapping[str, int], width: int, path: Path) -> Table:
    rejected: Counter[str] = Counter()
    subject, truth, time, values = [], [], [], []
    for row in rows:
        if not row or not any(field.strip() for field in row):
            continue
        if len(row) != width:
            rejected["wrong number of fields"] += 1
            continue
        try:
            xyz = tuple(float(row[at[axis]]) for axis in "xyz")
            if "time" in at:
                time.append(float(row[at["time"]]))
        except ValueError:
            rejected["not a number"] += 1
            continue
        values.append(xyz)
        subject.append(row[at["subject"]].strip() if "subject" in at else _nameless(path))
        if "truth" in at:
            truth.append(row[at["truth"]].strip())
    return Table(
        subject,
        truth if "truth" in at else None,
        time if "time" in at else None,
        np.array(values, dtype=float).reshape(-1, 3),
        rejected,
    )


def _read_parquet(path: Path, columns: Mapping[str, str]) -> Table:
    """A missing number is one that isn't a number; times may be numbers or timestamps (then in s)."""
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra: a gateway has no Parquet)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise RecordingError(f"{path}: Parquet needs the package pyarrow: pip install 'hard-daemon[train]'") from error
    try:
        names = pq.read_schema(path).names
        at = _places(names, columns, path)
        table = pq.read_table(path, columns=[names[place] for place in at.values()])
    except (OSError, pa.ArrowException) as error:
        raise RecordingError(f"{path}: {str(error).partition(chr(10))[0]}") from error
    numbers: dict[str, Floats] = {}
    for kind in ("x", "y", "z", *(("time",) if "time" in at else ())):
        column = table[names[at[kind]]]
        try:
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("ns")).cast(pa.int64())
                numbers[kind] = column.cast(pa.float64(), safe=False).to_numpy() / 1e9
            else:
                numbers[kind] = column.cast(pa.float64(), safe=False).to_numpy()
        except pa.ArrowException as error:
            raise RecordingError(f"{path}: column {names[at[kind]]!r} holds no numbers") from error
    known = np.logical_and.reduce([~np.isnan(values) for values in numbers.values()])
    rows = np.flatnonzero(known)
    texts = {
        k: [str(v).strip() for v in table[names[at[k]]].take(rows).to_pylist()] for k in ("subject", "truth") if k in at
    }
    return Table(
        texts.get("subject", [_nameless(path)] * len(rows)),
        texts.get("truth"),
        numbers["time"][rows].tolist() if "time" in numbers else None,
        np.stack([numbers[axis][rows] for axis in "xyz"], axis=1),
        Counter({"not a number": int((~known).sum())}),
    )


def _nameless(path: Path) -> str:
    """The subject of a file that names none: the file."""
    return path.name.partition(".")[0]
