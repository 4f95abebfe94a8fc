"""JSON as devices write it → a document: with a byte order mark, what a C string has after its NUL, NaN and inf."""

from __future__ import annotations

import re

import msgspec

from hard.formats.raw_samples import PayloadError

BOM = b"\xef\xbb\xbf"
_NOT_FINITE = re.compile(rb"(?<=[\[,:\s])[+-]?(?:nan(?:\(\w*\))?|inf(?:inity)?)(?=[\],}\s])", re.IGNORECASE)
_TOO_LARGE = b"1e999"  # is read as infinite
_decoder = msgspec.json.Decoder(float_hook=float)


def text_of(payload: bytes) -> bytes:
    """The text of `payload`, without a byte order mark, up to its first NUL."""
    return payload.removeprefix(BOM).partition(b"\0")[0].strip()


def parse(payload: bytes) -> object:
    """The document, or the list of documents where each line is one. A number that is not finite is infinite. Raises
    PayloadError."""
    text = text_of(payload)
    try:
        try:
            return _decoder.decode(text)
        except msgspec.DecodeError:
            text = _NOT_FINITE.sub(_TOO_LARGE, text)
            lines = text.splitlines()
            if len(lines) > 1 and all(
                line.startswith(b"{") and line.endswith(b"}") for line in map(bytes.strip, lines)
            ):
                return _decoder.decode_lines(text)
            return _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise PayloadError("json", f"not JSON: {str(error).removeprefix('JSON is malformed: ')}") from error
    except (RecursionError, UnicodeDecodeError) as error:
        raise PayloadError("json", "not JSON: lists in lists without end, or text that is not UTF-8") from error
