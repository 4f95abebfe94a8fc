"""A Parquet file becomes columns; missing values are counted or empty."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hard.recordings.parquet import read_parquet
from hard.recordings.tables import NoRecordError, RecordingError

pa = pytest.importorskip("pyarrow", reason="Parquet needs the extra `train`")


def written(path: Path, **columns: object) -> Path:
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
    return path


def test_columns_are_read_by_kind(tmp_path: Path) -> None:
    file = written(tmp_path / "a.parquet", t=[1.0, 2.0, None], x=[1, 2, 3], y=[4, 5, 6], z=[7, 8, 9], id=[1.0, None, 3])
    table = read_parquet(file, {})
    assert (table.subject, table.truth, table.time, table.time_unit) == (["1"], None, [1.0], None)
    assert table.xyz.tolist() == [[1, 4, 7]]
    assert table.rejected == {"not a number": 1, "no subject": 1}


def test_timestamps_are_seconds(tmp_path: Path) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    table = read_parquet(written(tmp_path / "a.parquet", when=[at], x=[1], y=[2], z=[3]), {"time": "when"})
    assert (table.time, table.time_unit, table.subject) == ([at.timestamp()], "s", ["a"])


def test_what_holds_no_numbers_or_lacks_an_axis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="column 'x' holds no numbers"):
        read_parquet(written(tmp_path / "a.parquet", x=["left"], y=[2], z=[3]), {})
    with pytest.raises(NoRecordError, match="has no column 'z'"):
        read_parquet(written(tmp_path / "b.parquet", x=[1], y=[2]), {})
