"""A recording's file → its text: plain or compressed, in any of the encodings that loggers and spreadsheets write."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from pathlib import Path
from typing import Any

from hard.recordings.tables import RecordingError

OPENERS: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(path: Path) -> list[bytes]:
    """The lines in `path` as they are, without what ends them. Raises RecordingError."""
    return [line.removesuffix(b"\r") for line in _read_bytes(path).split(b"\n")]


def read_text(path: Path) -> str:
    """The text in `path`, lines ended by a newline. Raises RecordingError.

    It is UTF-8, UTF-16 with or without its mark, else Latin-1: what matters in a recording is ASCII in all of them.
    """
    data = _read_bytes(path)
    try:
        return _decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        kind = "a ZIP archive or a spreadsheet" if data[:2] == b"PK" else "not text"
        raise RecordingError(path, f"is {kind}: unpack it, or save it as CSV") from error


def _read_bytes(path: Path) -> bytes:
    try:
        with OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
            return bytes(file.read())
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise RecordingError(path, getattr(error, "strerror", None) or error) from error


def _decoded(data: bytes) -> str:
    """Raises UnicodeDecodeError where `data` is no text."""
    if data.startswith(UTF16):
        return data.decode("utf-16")
    head = data[:1000]
    if b"\0" in head:  # most characters are ASCII, of which UTF-16 writes a byte and a zero
        zeros = {"utf-16-le": head[1::2].count(0), "utf-16-be": head[::2].count(0)}
        encoding = max(zeros, key=zeros.__getitem__)
        if zeros[encoding] < len(head) / 3 or min(zeros.values()) > len(head) / 10:
            raise UnicodeDecodeError("utf-16", head, 0, 1, "no text")
        return data.decode(encoding)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
