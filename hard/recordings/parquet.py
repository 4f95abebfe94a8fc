"""A Parquet file → its columns. Needs pyarrow, which the extra `train` installs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hard.recordings.tables import RecordingError, Table, column_positions, default_subject
from hard.records import Float64Array


def read_parquet(path: Path, columns: Mapping[str, str]) -> Table:
    """The table in `path`. A missing number counts as "not a number", a missing activity as none.

    Times are numbers or timestamps. `columns` is as for `column_positions`. Raises RecordingError.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra: a gateway has no Parquet)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise RecordingError(path, "Parquet needs the package pyarrow: pip install 'hard-daemon[train]'") from error
    try:
        names = pq.read_schema(path).names
        positions = column_positions(names, columns, path)
        data = pq.read_table(path, columns=[names[position] for position in positions.values()])
    except (OSError, pa.ArrowException) as error:
        raise RecordingError(path, str(error).partition("\n")[0]) from error
    table = {kind: data[names[position]] for kind, position in positions.items()}
    numbers: dict[str, Float64Array] = {}
    for kind in ("x", "y", "z", *(("time",) if "time" in table else ())):
        try:
            numbers[kind] = _numbers(table[kind])
        except pa.ArrowException as error:
            raise RecordingError(path, f"column {names[positions[kind]]!r} holds no numbers") from error
    rejected = Counter[str]()
    known = np.logical_and.reduce([~np.isnan(values) for values in numbers.values()])
    rejected["not a number"] = int((~known).sum())
    texts = {kind: np.array(_texts(table[kind].to_pylist())) for kind in ("subject", "place", "truth") if kind in table}
    if "subject" in texts:
        named = texts["subject"] != ""
        rejected["no subject"] = int((known & ~named).sum())
        known &= named
    rows = np.flatnonzero(known)
    return Table(
        texts["subject"][rows].tolist() if "subject" in texts else [default_subject(path)] * len(rows),
        texts["truth"][rows].tolist() if "truth" in texts else None,
        numbers["time"][rows].tolist() if "time" in numbers else None,
        np.stack([numbers[axis][rows] for axis in "xyz"], axis=1),
        rejected,
        time_unit="s" if "time" in table and pa.types.is_timestamp(table["time"].type) else None,
        place=texts["place"][rows].tolist() if "place" in texts else None,
    )


def _numbers(column: Any) -> Float64Array:
    """A column of numbers as it is (N,), a column of timestamps in s."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(column.type):
        nanoseconds = column.cast(pa.timestamp("ns")).cast(pa.int64())
        return np.asarray(nanoseconds.cast(pa.float64(), safe=False).to_numpy() / 1e9)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy())


def _texts(values: Iterable[Any]) -> list[str]:
    """As a text file would hold them: a missing value is empty, a whole number has no point (a column of whole numbers
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
