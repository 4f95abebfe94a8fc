"""Delimited text → its columns: finds the header below a preamble, the delimiter, comments, and reads the rows.

Numbers have a decimal point or a decimal comma; times are numbers, ISO 8601 (UTC where they name no zone) or times of
the day. What can't be read costs its row only and is counted.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from itertools import islice, pairwise
from math import isnan, nan
from pathlib import Path

import numpy as np

from hard.recordings.tables import (
    NoRecordError,
    RecordingError,
    Table,
    column_positions,
    default_subject,
    stated_unit,
)

DELIMITERS = ("\t", ";", ",", " ")  # a blank stands for any white space
COMMENTS = ("#", "%", "//")
LONGEST_PREAMBLE = 200  # lines above the header
HEADERLESS = {3: ("x", "y", "z"), 4: ("t", "x", "y", "z")}  # columns by their number, where no line names them


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written: the rows begin after `lines_above`, the header the last of them where there is one."""

    delimiter: str
    header: tuple[str, ...]
    lines_above: int


def find_layout(lines: Sequence[str], columns: Mapping[str, str], path: Path) -> Layout | None:
    """The layout of a file of delimited `lines`; None where the lines are neither below a header nor numbers alone.

    Raises RecordingError for a header without the axes, with the line that it stands on.
    """
    head = list(_numbered(islice(lines, LONGEST_PREAMBLE)))
    for number, line in head:
        for delimiter in DELIMITERS:
            header = tuple(split(line.lstrip("#%/ "), delimiter))
            if len(header) > 2 and _has_axes(header, columns, path):
                return Layout(delimiter, _without_tail(header), number)
    data = [(number, line) for number, line in head if not is_comment(line)]
    for (number, line), (_, following) in pairwise(data):
        for delimiter in DELIMITERS:
            header = _without_tail(split(line, delimiter))
            if len(header) > 2 and all(map(_is_word, header)) and _numbers_in(following, delimiter) > 2:
                column_positions(header, columns, path, number if number > 1 else None)  # raises: the axes aren't there
    return _headerless(data, columns, path)


def _headerless(data: Sequence[tuple[int, str]], columns: Mapping[str, str], path: Path) -> Layout | None:
    """The layout of rows of numbers: `columns` names them by their number, else HEADERLESS does."""
    for first, (number, line) in enumerate(data):
        for delimiter in DELIMITERS:
            width = len(_without_tail(split(line, delimiter)))
            below = [_numbers_in(text, delimiter) for _, text in data[first : first + 3]]
            if width < 3 or min(below) < width:
                continue
            times = [read_time(split(text, delimiter)[0])[0] for _, text in data[first : first + 50]]
            rises = {a <= b for a, b in pairwise(times)}
            if columns:
                header: tuple[str, ...] = tuple(str(i + 1) for i in range(width))
            elif width == 3 or (width == 4 and len(rises) < 2):
                header = HEADERLESS[width]
            else:
                raise NoRecordError(
                    path,
                    f"no line names its {width} columns (line {number} is the first of numbers): "
                    "say which holds what by its number, --columns time=1,x=2,y=3,z=4",
                )
            return Layout(delimiter, header, number - 1)
    return None


def read_rows(lines: Sequence[str], layout: Layout, columns: Mapping[str, str], path: Path) -> Table:
    """The table of the rows below the header. Raises RecordingError."""
    at = column_positions(layout.header, columns, path)
    rows = _Rows(at, len(layout.header), default_subject(path))
    try:
        for number, fields in _split_rows(lines, layout):
            rows.add(number, fields)
    except csv.Error as error:
        raise RecordingError(path, error) from error
    return rows.table(stated_unit(layout.header[at["x"]]))


@dataclass(slots=True)
class _Rows:
    """Collects rows of `width` fields, with each kind of column `at` its position."""

    at: Mapping[str, int]
    width: int
    default_subject: str
    values: list[tuple[float, ...]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    dated: int = 0
    texts: dict[str, list[str]] = field(default_factory=lambda: {"subject": [], "place": [], "truth": []})
    rejected: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, row: list[str]) -> None:
        """Takes a row that stands on line `number`."""
        at = self.at
        while len(row) > self.width and not row[-1].strip():
            row.pop()
        if len(row) != self.width:
            self._reject("wrong number of fields", f"line {number}, {len(row)} instead of {self.width}")
            return
        try:
            xyz = tuple([float(row[at[axis]]) for axis in "xyz"])
        except ValueError:
            try:
                xyz = tuple([read_number(row[at[axis]]) for axis in "xyz"])
            except ValueError:
                bad = next(row[at[axis]] for axis in "xyz" if not _is_number(row[at[axis]]))
                self._reject("not a number", f"line {number}, {bad[:40]!r}")
                return
        time_s = 0.0
        if "time" in at:
            time_s, dated = read_time(row[at["time"]])
            self.dated += dated
            if isnan(time_s):
                self.examples.setdefault("not a time", f"line {number}, {row[at['time']][:40]!r}")
        if "subject" in at and not row[at["subject"]].strip():
            self._reject("no subject", f"line {number}")
            return
        self.values.append(xyz)
        self.times.append(time_s)
        for kind, texts in self.texts.items():
            if kind in at:
                texts.append(row[at[kind]].strip())

    def table(self, unit: str | None) -> Table:
        """All rows. Where no time could be read there are none; where some could, the others' rows are rejected."""
        texts = {kind: np.array(found) for kind, found in self.texts.items() if kind in self.at}
        known = ~np.isnan(self.times)
        has_times = "time" in self.at and (known.any() or not self.values)
        rows = np.flatnonzero(known) if has_times else np.arange(len(self.values))
        self.rejected["not a number"] += len(self.values) - len(rows)
        if has_times and len(self.values) > len(rows):
            self.examples.setdefault("not a number", self.examples["not a time"])
        subject = texts["subject"][rows].tolist() if "subject" in texts else [self.default_subject] * len(rows)
        return Table(
            subject,
            texts["truth"][rows].tolist() if "truth" in texts else None,
            np.array(self.times)[rows].tolist() if has_times else None,
            np.array(self.values, dtype=float).reshape(-1, 3)[rows],
            self.rejected,
            time_unit="s" if self.dated else None,
            place=texts["place"][rows].tolist() if "place" in texts else None,
            unit=unit,
            examples=self.examples,
        )

    def _reject(self, reason: str, example: str) -> None:
        self.rejected[reason] += 1
        self.examples.setdefault(reason, example)


def read_number(text: str) -> float:
    """A number with a decimal point or comma. Raises ValueError."""
    return float(text.replace(",", ".") if "," in text else text)


def read_time(text: str) -> tuple[float, bool]:
    """A time as it is written, and whether it was a date or a time of the day, which is in s; NaN where it is none."""
    try:
        return float(text), False
    except ValueError:
        pass
    try:
        return read_number(text), False
    except ValueError:
        pass
    text = text.strip()
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp(), True
    except ValueError:
        pass
    try:
        clock = time.fromisoformat(text)
        return clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6, True
    except ValueError:
        return nan, False


def is_comment(line: str) -> bool:
    return line.lstrip().startswith(COMMENTS)


def split(line: str, delimiter: str) -> list[str]:
    """The fields of one line; empty where it is none."""
    try:
        return line.split() if delimiter == " " else next(csv.reader([line.rstrip(";")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _split_rows(lines: Sequence[str], layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """The rows below the header, each with the number of its line; without empty lines and comments."""
    below = (line.rstrip(";") for line in islice(lines, layout.lines_above, None))
    if layout.delimiter == " ":
        rows: Iterable[tuple[int, list[str]]] = ((i, line.split()) for i, line in enumerate(below, 1))
    else:
        reader = csv.reader(below, delimiter=layout.delimiter)
        rows = ((reader.line_num, row) for row in reader)
    for number, row in rows:
        if row and any(map(str.strip, row)) and not row[0].lstrip().startswith(COMMENTS):
            yield layout.lines_above + number, row


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _without_tail(fields: Sequence[str]) -> tuple[str, ...]:
    """`fields` without the empty ones at the end, which a trailing delimiter makes."""
    kept = list(fields)
    while kept and not kept[-1].strip():
        kept.pop()
    return tuple(kept)


def _has_axes(header: Sequence[str], columns: Mapping[str, str], path: Path) -> bool:
    try:
        column_positions(header, columns, path)
    except RecordingError:
        return False
    return True


def _numbers_in(line: str, delimiter: str) -> int:
    """How many fields of a line are numbers; its first may be a date."""
    fields = split(line, delimiter)
    return sum(map(_is_number, fields)) + (bool(fields) and not _is_number(fields[0]) and read_time(fields[0])[1])


def _is_number(text: str) -> bool:
    try:
        read_number(text)
    except ValueError:
        return False
    return True


def _is_word(text: str) -> bool:
    return bool(text.strip()) and not _is_number(text)
