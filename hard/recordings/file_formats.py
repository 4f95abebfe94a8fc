"""A recording's file → its columns, by its format: WISDM text, delimited text with a header, or Parquet.

Text is plain or compressed (.gz, .bz2, .xz). Knows no units and no runs.
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
from pathlib import Path
from typing import Any

import numpy as np

from hard.recordings.parquet import read_parquet
from hard.recordings.tables import COLUMNS, RecordingError, Table, column_positions, default_subject
from hard.recordings.wisdm import read_wisdm

DELIMITERS = ",;\t"
SUFFIXES = (".txt", ".csv", ".tsv", ".parquet", ".gz", ".bz2", ".xz")  # of files that are looked for in a folder


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> Table:
    """The table in `path`; `columns` names the columns that aren't in COLUMNS, by what they hold.

    Raises RecordingError.
    """
    columns = columns or {}
    if path.suffix.lower() == ".parquet":
        return read_parquet(path, columns)
    try:
        text = _text(path).lstrip()
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as error:
        raise RecordingError(path, getattr(error, "strerror", None) or error) from error
    head = text[:4096].partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    fields = [field.strip(' "\t').lower() for field in head.rstrip(";\r").split(delimiter)]
    if not columns and not _is_header(fields):
        return read_wisdm(text)
    try:
        rows = csv.reader(io.StringIO(text), delimiter=delimiter)
        header = next(rows, [])
        return _read_rows(rows, column_positions(header, columns, path), len(header), path)
    except csv.Error as error:
        raise RecordingError(path, error) from error


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


def _read_rows(rows: Iterable[Sequence[str]], at: Mapping[str, int], width: int, path: Path) -> Table:
    """The table of `rows` of `width` fields, with each kind of column `at` its position."""
    rejected: Counter[str] = Counter()
    subjects, places, truth, times, values = [], [], [], [], []
    for row in rows:
        if not row or not any(field.strip() for field in row):
            continue
        if len(row) != width:
            rejected["wrong number of fields"] += 1
            continue
        try:
            xyz = tuple(float(row[at[axis]]) for axis in "xyz")
            time = float(row[at["time"]]) if "time" in at else 0.0
        except ValueError:
            rejected["not a number"] += 1
            continue
        subject = row[at["subject"]].strip() if "subject" in at else default_subject(path)
        if not subject:
            rejected["no subject"] += 1
            continue
        values.append(xyz)
        times.append(time)
        subjects.append(subject)
        if "place" in at:
            places.append(row[at["place"]].strip())
        if "truth" in at:
            truth.append(row[at["truth"]].strip())
    return Table(
        subjects,
        truth if "truth" in at else None,
        times if "time" in at else None,
        np.array(values, dtype=float).reshape(-1, 3),
        rejected,
        place=places if "place" in at else None,
    )
