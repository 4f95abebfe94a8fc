"""Encodings and compression of text files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hard.recordings.tables import RecordingError
from hard.recordings.text import read_text

TEXT = "Zeit (s),x,y,z,Aktivität\n0,1,2,3,Treppe auf\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT.encode(encoding))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT.replace("\n", "\r\n").encode(encoding)))
    assert read_text(tmp_path / "a.csv") == read_text(tmp_path / "a.csv.gz") == TEXT


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\3\4\0\0\xff\0", "is a ZIP archive or a spreadsheet: unpack it, or save it as CSV"),
        (bytes(50), "is not text"),
    ],
)
def test_what_is_no_text_is_refused_with_the_way_out(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(RecordingError, match=sentence):
        read_text(tmp_path / "a.csv")
