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

from hard.errors import HardError
from hard.records import Float64Array

# What columns are usually called, in lower case.
COLUMNS = {
    "time": ("t", "time", "timestamp", "time_s"),
    "x": ("x", "acc_x", "ax", "x-axis"),
    "y": ("y", "acc_y", "ay", "y-axis"),
    "z": ("z", "acc_z", "az", "z-axis"),
    "subject": ("subject", "user", "user_id", "subject_id", "person", "person_id", "participant", "id", "device"),
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


class RecordingError(HardError):
    """A file that can't be read as a recording; the message is one sentence."""

    exit_code = 2


class NoRecordError(RecordingError):
    """A file without anything that could be a sample, such as a read-me."""


class UnitError(RecordingError):
    """A file that gravity says is in another unit; the message names `--unit`."""


class NoTimesError(RecordingError):
    """A file that tells no times, where no rate was given."""


@dataclass(slots=True)
class Table:
    """Columns of a whole file as they came, `xyz` (N, 3), and what was rejected, by reason; `time_unit` where it is
    certain."""

    subject: list[str]
    truth: list[str] | None
    time: list[float] | None
    xyz: Float64Array
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
    if not columns and not _is_header(fields):
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


def _is_header(fields: Sequence[str]) -> bool:
    """Whether the first line names columns, known or not: several words, no number."""
    known = {name for name, aliases in COLUMNS.items() if set(aliases) & set(fields)}
    return {"x", "y", "z"} <= known or (len(fields) > 2 and all(map(_is_word, fields)))


def _is_word(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return bool(field)
    return False


def _places(header: Sequence[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    """Where each kind of column stands. Raises RecordingError for a named one that isn't there, NoRecordError where an
    axis is lacking."""
    found = [name.strip().lower() for name in header]
    places = {}
    for kind, aliases in COLUMNS.items():
        wanted = (columns[kind].lower(),) if kind in columns else aliases
        place = next((found.index(name) for name in wanted if name in found), None)
        if place is not None:
            places[kind] = place
        elif kind in columns:
            raise RecordingError(f"{path}: has no column {columns[kind]!r}; it has {', '.join(map(str, header))}")
        elif kind in "xyz":
            raise NoRecordError(
                f"{path}: has no column {kind!r}; it has {', '.join(map(str, header))}: "
                "say which holds it with --columns x=NAME,y=NAME,z=NAME"
            )
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
        if not fields[0].strip():
            rejected["no subject"] += 1
        elif at == 0:
            rejected["time is zero"] += 1
        elif xyz == (0.0, 0.0, 0.0):
            rejected["all axes zero"] += 1
        else:
            subject.append(fields[0].strip())
            truth.append(fields[1].strip())
            time.append(at)
            values.append(xyz)
    table = Table(subject, truth, time, np.array(values, dtype=float).reshape(-1, 3), rejected)
    coded = sum(code in WISDM_2019 for code in truth)
    return _decoded(table) if coded > sum(bool(code) for code in truth) / 2 else table


def _decoded(table: Table) -> Table:
    """The table of WISDM 2019 with its activities' names; a code that has none is rejected."""
    assert table.truth is not None
    assert table.time is not None
    rows = [i for i, code in enumerate(table.truth) if not code or code in WISDM_2019]
    unknown = Counter({"unknown activity code": len(table.truth) - len(rows)})
    return Table(
        [table.subject[i] for i in rows],
        [WISDM_2019.get(table.truth[i], "") for i in rows],
        [table.time[i] for i in rows],
        table.xyz[rows],
        table.rejected + unknown,
    )


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
            when = float(row[at["time"]]) if "time" in at else 0.0
        except ValueError:
            rejected["not a number"] += 1
            continue
        who = row[at["subject"]].strip() if "subject" in at else _nameless(path)
        if not who:
            rejected["no subject"] += 1
            continue
        values.append(xyz)
        time.append(when)
        subject.append(who)
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
    """A missing number is one that isn't a number, a missing activity none; times may be numbers or timestamps."""
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
    numbers: dict[str, Float64Array] = {}
    rejected, time_unit = Counter[str](), None
    for kind in ("x", "y", "z", *(("time",) if "time" in at else ())):
        column = table[names[at[kind]]]
        try:
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("ns")).cast(pa.int64())
                numbers[kind] = column.cast(pa.float64(), safe=False).to_numpy() / 1e9
                time_unit = "s"
            else:
                numbers[kind] = column.cast(pa.float64(), safe=False).to_numpy()
        except pa.ArrowException as error:
            raise RecordingError(f"{path}: column {names[at[kind]]!r} holds no numbers") from error
    known = np.logical_and.reduce([~np.isnan(values) for values in numbers.values()])
    rejected["not a number"] = int((~known).sum())
    texts = {k: np.array(_texts(table[names[at[k]]].to_pylist())) for k in ("subject", "truth") if k in at}
    if "subject" in texts:
        named = texts["subject"] != ""
        rejected["no subject"] = int((known & ~named).sum())
        known &= named
    rows = np.flatnonzero(known)
    return Table(
        texts["subject"][rows].tolist() if "subject" in texts else [_nameless(path)] * len(rows),
        texts["truth"][rows].tolist() if "truth" in texts else None,
        numbers["time"][rows].tolist() if "time" in numbers else None,
        np.stack([numbers[axis][rows] for axis in "xyz"], axis=1),
        rejected,
        time_unit,
    )


def _texts(values: Iterable[Any]) -> list[str]:
    """As a text file would have them: nothing where none is, whole numbers without a point (a column of whole numbers
    with gaps comes as floats)."""
    found = []
    for value in values:
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            found.append("")
        elif isinstance(value, float) and value.is_integer():
            found.append(str(int(value)))
        else:
            found.append(str(value).strip())
    return found


def _nameless(path: Path) -> str:
    """The subject of a file that names none: the file."""
    return path.name.partition(".")[0]
