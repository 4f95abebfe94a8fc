"""Bare 16-bit counts: little endian, x y z interleaved, no header. `ingest.scale` says how much a count is."""

from __future__ import annotations

import numpy as np

from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

SAMPLE_BYTES = 6
LEAST, GREATEST = -32_768, 32_767


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError."""
    if len(payload) % SAMPLE_BYTES:
        raise PayloadError(
            "int16", f"{len(payload)} bytes are no whole number of samples: x, y and z take {SAMPLE_BYTES}"
        )
    return RawSamples(np.frombuffer(payload, dtype="<i2").reshape(-1, 3).astype(float))


def write(xyz: Float64Array, scale: float) -> bytes:
    """Samples in m/s², of which a count is `scale`."""
    return (xyz / scale).round().clip(LEAST, GREATEST).astype("<i2").tobytes()
