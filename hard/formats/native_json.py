"""JSON in HARD's own shapes (`native_shapes`). `read` takes all of them; `write` makes a batch or columns."""

from __future__ import annotations

import msgspec
import numpy as np

from hard.formats import json_text, native_shapes
from hard.formats.native_shapes import Fields
from hard.formats.raw_samples import RawSamples
from hard.records import Float64Array

GRID_TOLERANCE_S = 5e-5  # times that lie so close to an even grid are written as a grid
_decode = msgspec.json.Decoder(Fields).decode


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError."""
    try:
        fields = _decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return native_shapes.loosely(json_text.parse(payload))
    return native_shapes.samples(fields)


def document(time_s: Float64Array, xyz: Float64Array, rate_hz: float) -> dict[str, object]:
    """One message of samples: a batch where the times are regular, else columns."""
    values = xyz.round(5)
    even = time_s[0] + np.arange(len(time_s)) / rate_hz
    if np.abs(time_s - even).max() <= GRID_TOLERANCE_S:
        return {"t0": round(float(time_s[0]), 6), "rate": rate_hz, "xyz": values.tolist()}
    return {"t": time_s.round(6).tolist(), **dict(zip("xyz", values.T.tolist(), strict=True))}


def write(time_s: Float64Array, xyz: Float64Array, rate_hz: float) -> bytes:
    """The same as JSON."""
    return msgspec.json.encode(document(time_s, xyz, rate_hz))
