"""Native JSON messages of samples, as commands send them."""

from __future__ import annotations

import msgspec
import numpy as np

from hard.records import Float64Array

GRID_TOLERANCE_S = 5e-5  # times that lie so close to an even grid are sent as a grid


def encode_batch(time_s: Float64Array, xyz: Float64Array, rate_hz: float) -> bytes:
    """One message of samples: a batch where the times are regular, else columns with a time for each sample."""
    values = xyz.round(5)
    even = time_s[0] + np.arange(len(time_s)) / rate_hz
    if np.abs(time_s - even).max() <= GRID_TOLERANCE_S:
        return msgspec.json.encode({"t0": round(float(time_s[0]), 6), "rate": rate_hz, "xyz": values.tolist()})
    columns = dict(zip("xyz", values.T.tolist(), strict=True))
    return msgspec.json.encode({"t": time_s.round(6).tolist(), **columns})
