"""A file's name and its first line decide its format."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hard.recordings.file_formats import read_table
from hard.recordings.tables import RecordingError


def test_a_first_line_of_names_is_a_header_whatever_the_delimiter(tmp_path: Path) -> None:
    for delimiter in ",;\t":
        (tmp_path / "a.csv").write_text("time,x,y,z,label\n1,2,3,4,Walking\n".replace(",", delimiter))
        table = read_table(tmp_path / "a.csv")
        assert (table.subject, table.truth, table.time, table.xyz.tolist()) == (["a"], ["Walking"], [1.0], [[2, 3, 4]])


def test_a_file_without_a_header_is_wisdm_also_compressed(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.txt.gz", "wt") as file:
        file.write("1,Walking,5,1,2,3;\n")
    assert read_table(tmp_path / "a.txt.gz").truth == ["Walking"]


def test_rows_with_defects_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x,y,z\n1,2,3\n1,2,3,x\n,1,2,3\n7,1,2,3\n")
    table = read_table(tmp_path / "a.csv")
    assert (table.subject, table.time) == (["7"], None)
    assert table.rejected == {"wrong number of fields": 1, "not a number": 1, "no subject": 1}


def test_an_unreadable_file_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"no gzip")
    (tmp_path / "a.csv").write_bytes(b"PK\3\4\0\0\0")
    for name in ("a.gz", "a.csv", "absent.csv"):
        with pytest.raises(RecordingError, match=f"{name}: "):
            read_table(tmp_path / name)
