"""CSV: lines `t,x,y,z`, or columns in the order that a header names."""

from __future__ import annotations

import re
from math import isnan

import numpy as np

from hard.formats import values
from hard.formats.json_text import text_of
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

_AXIS = re.compile(r"(?:a|acc|accel|acceleration|accelerometer)?[ _.-]?([xyz])(?:[ _(\[].*)?")
_TIMES = ("t", "time", "timestamp", "ts")
_WITHOUT_HEADER = ("t", "x", "y", "z")


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError."""
    try:
        rows = [
            [float(field) for field in line.split(",")] for line in payload.decode("ascii").splitlines() if line.strip()
        ]
    except (ValueError, UnicodeDecodeError):
        return _read_loosely(payload)
    if any(len(row) != 4 for row in rows):
        return _read_loosely(payload)
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return RawSamples(table[:, 1:], table[:, 0])


def write(time_s: Float64Array, xyz: Float64Array) -> bytes:
    """Lines `t,x,y,z`."""
    lines = zip(time_s.tolist(), xyz.tolist(), strict=True)
    return "".join(f"{t:.6f},{x:.5f},{y:.5f},{z:.5f}\n" for t, (x, y, z) in lines).encode()


def _read_loosely(payload: bytes) -> RawSamples:
    """With a header, comments, a comma at the end of lines, semicolons, dates; a line that can't be read is NaN."""
    text = text_of(payload).decode("utf-8", "replace")
    lines = [_cells(line) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    columns, others = list(_WITHOUT_HEADER), False
    if lines and _is_header(lines[0]):
        names = [_kind(cell) for cell in lines.pop(0)]
        if others := {*"xyz"} <= {*names}:
            columns = names
    width = 1 + max(columns.index(kind) for kind in _WITHOUT_HEADER if kind in columns)
    rows = [line if len(line) >= width and (others or not any(line[width:])) else [""] * width for line in lines]
    xyz = values.triples([row[columns.index(axis)] for axis in "xyz"] for row in rows)
    if rows and np.isnan(xyz).any(axis=1).all():
        raise PayloadError("csv", f"no line of t,x,y,z: the first is {','.join(lines[0])[:60]!r}")
    if "t" not in columns:
        return RawSamples(xyz)
    time, unit = values.times([row[columns.index("t")] for row in rows])
    return RawSamples(xyz, time, time_unit=unit)


def _cells(line: str) -> list[str]:
    """The fields of a line; where semicolons or tabs separate them, a comma is a decimal point."""
    separator = next((mark for mark in ";\t" if mark in line), ",")
    cells = [cell.strip(' "') for cell in line.split(separator)]
    return cells if separator == "," else [cell.replace(",", ".") for cell in cells]


def _is_header(cells: list[str]) -> bool:
    return any(map(_kind, cells)) and all(isnan(values.number(cell)) for cell in cells)


def _kind(cell: str) -> str:
    """`t`, `x`, `y` or `z` where `cell` names such a column, else nothing."""
    text = cell.lower()
    if text.split(" ")[0].split("(")[0].split("[")[0] in _TIMES:
        return "t"
    axis = _AXIS.fullmatch(text)
    return axis[1] if axis else ""
