"""Motion that a sender of any format could have measured, and how its payloads are decoded."""

from __future__ import annotations

from typing import Any

import numpy as np

from hard.formats.writers import INT16_SCALE, Batch
from hard.records import Float64Array

T = 1_700_000_000.0  # Unix s
# What a daemon must be told of each format, or ready-made mapping, beside its name.
SETTINGS: dict[str, dict[str, Any]] = {
    "json": {}, "csv": {}, "msgpack": {}, "cbor": {}, "senml": {}, "sensorlogger": {}, "phyphox": {},
    "int16": {"scale": INT16_SCALE, "rate_hz": 50.0},
    "sensorspot": {"mapping": "sensorspot"}, "movesense": {"mapping": "movesense"},
    "edgeimpulse": {"mapping": "edgeimpulse"},
}  # fmt: skip


def settings_of(name: str) -> dict[str, Any]:
    """The settings of `ingest` for a name of SETTINGS."""
    return {"format": "mapping" if "mapping" in SETTINGS[name] else name, **SETTINGS[name]}


def walking(n: int = 50, rate_hz: float = 50.0, start: float = T, seed: int = 0) -> tuple[Float64Array, Float64Array]:
    """Times (n,) and accelerations (n, 3) of steps at 1.8 Hz."""
    time = start + np.arange(n) / rate_hz
    since = time - T
    xyz = np.stack([np.sin(11 * since), 9.8 + 4 * np.sin(11.3 * since), np.cos(11 * since)], axis=1)
    return time, xyz + np.random.default_rng(seed).normal(0, 0.3, (n, 3))


def batch(n: int = 50, rate_hz: float = 50.0, start: float = T, seed: int = 0) -> Batch:
    """A second of walking of the device `d-1`, switched on at T - 100."""
    time, xyz = walking(n, rate_hz, start, seed)
    return Batch(time, xyz, rate_hz, "d-1", T - 100)
