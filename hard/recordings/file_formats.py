"""A recording's file → its columns, by its format: WISDM text, delimited text, or Parquet.

Knows no units and no runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hard.recordings.delimited import find_layout, read_rows
from hard.recordings.parquet import read_parquet
from hard.recordings.tables import NoRecordError, Table
from hard.recordings.text import read_text
from hard.recordings.wisdm import read_wisdm

SUFFIXES = (".txt", ".csv", ".tsv", ".parquet", ".gz", ".bz2", ".xz")  # of files that are looked for in a folder


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> Table:
    """The table in `path`; `columns` names the columns that HARD doesn't recognise, by what they hold.

    Raises RecordingError.
    """
    columns = columns or {}
    if path.suffix.lower() == ".parquet":
        return read_parquet(path, columns)
    text = read_text(path)
    if text.lstrip().startswith(("{", "[{")):
        raise NoRecordError(path, "is JSON, no recording: captured messages are read with --format json")
    lines = text.split("\n")
    layout = find_layout(lines, columns, path)
    return read_rows(lines, layout, columns, path) if layout else read_wisdm(text)
