"""MessagePack in HARD's own shapes (`native_shapes`)."""

from __future__ import annotations

import msgspec

from hard.formats import native_json, native_shapes
from hard.formats.native_shapes import Fields
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

_decode = msgspec.msgpack.Decoder(Fields).decode
_decode_any = msgspec.msgpack.Decoder().decode


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError."""
    try:
        fields = _decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return native_shapes.loosely(_parse(payload))
    return native_shapes.samples(fields)


def write(time_s: Float64Array, xyz: Float64Array, rate_hz: float) -> bytes:
    """A batch where the times are regular, else columns."""
    return msgspec.msgpack.encode(native_json.document(time_s, xyz, rate_hz))


def _parse(payload: bytes) -> object:
    try:
        return _decode_any(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, TypeError) as error:
        raise PayloadError("msgpack", "not MessagePack") from error
