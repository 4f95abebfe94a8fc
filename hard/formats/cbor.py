"""CBOR (RFC 8949) in HARD's own shapes (`native_shapes`). Needs the extra `cbor`, imported at first use."""

from __future__ import annotations

from typing import Any

from hard.formats import native_json, native_shapes
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

INSTALL = "CBOR needs the extra: pip install 'hard-daemon[cbor]'"


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError."""
    return native_shapes.loosely(parse(payload))


def write(time_s: Float64Array, xyz: Float64Array, rate_hz: float) -> bytes:
    """A batch where the times are regular, else columns."""
    return encode(native_json.document(time_s, xyz, rate_hz))


def parse(payload: bytes) -> object:
    """The document. Raises PayloadError."""
    library = _library()
    try:
        return library.loads(payload)
    except Exception as error:  # a tag's own decoder may raise anything
        raise PayloadError("cbor", "not CBOR") from error


def encode(document: object) -> bytes:
    """The document as CBOR."""
    return bytes(_library().dumps(document))


def is_installed() -> bool:
    """Whether the extra is there."""
    try:
        _library()
    except PayloadError:
        return False
    return True


def _library() -> Any:
    try:
        import cbor2  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise PayloadError("content_type", INSTALL) from error
    return cbor2
