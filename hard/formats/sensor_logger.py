"""The app Sensor Logger (Android, iOS): `{"deviceId", "payload": [{"name", "time", "values": {"x", "y", "z"}}, …]}`,
times in ns since 1970.

`totalacceleration` holds gravity (Android). Without it `accelerometer`, which has none, and `gravity` are added sample
by sample (iOS, where both have the same times).
"""

from __future__ import annotations

import msgspec
import numpy as np

from hard.formats import json_text, values
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

TOTAL, LINEAR, GRAVITY = "totalacceleration", "accelerometer", "gravity"
JOIN_NS = 20e6  # the nearest gravity counts as of the same moment: it turns slowly


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError; with the reason `no_gravity` where gravity was taken out."""
    document = json_text.parse(payload)
    entries = document.get("payload") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(entries, list):
        raise PayloadError("fields", "not a message of Sensor Logger: it has no list named payload")
    found: dict[str, list[dict[object, object]]] = {TOTAL: [], LINEAR: [], GRAVITY: []}
    for entry in entries:
        if isinstance(entry, dict) and (name := str(entry.get("name")).lower()) in found:
            found[name].append(entry)
    device = values.name(document.get("deviceId"))
    if found[TOTAL]:
        time, xyz = _columns(found[TOTAL])
    elif found[LINEAR] and found[GRAVITY]:
        time, xyz = _columns(found[LINEAR])
        with np.errstate(over="ignore"):  # what is infinite is left out
            xyz += _nearest(*_columns(found[GRAVITY]), time)
    elif found[LINEAR]:
        raise PayloadError(
            "no_gravity", "accelerations without gravity: switch on Total Acceleration (Android) or Gravity (iOS)"
        )
    else:
        raise PayloadError("other_sensor", "no accelerations: switch on Total Acceleration (Android), or Accelerometer "
                           "and Gravity (iOS)")  # fmt: skip
    return RawSamples(xyz, time, device=device, time_unit="ns")


def write(time_s: Float64Array, xyz: Float64Array, device: str) -> bytes:
    """A message as Android sends it."""
    entries = [
        {"name": TOTAL, "time": round(t * 1e9), "values": dict(zip("xyz", row, strict=True))}
        for t, row in zip(time_s.tolist(), xyz.tolist(), strict=True)
    ]
    return msgspec.json.encode({"messageId": 0, "sessionId": "hard", "deviceId": device, "payload": entries})


def _columns(entries: list[dict[object, object]]) -> tuple[Float64Array, Float64Array]:
    """Times (N,) in ns and accelerations (N, 3) in the order of time."""
    time = np.array([values.number(entry.get("time")) for entry in entries], dtype=float)
    order = np.argsort(time, kind="stable")
    return time[order], values.triples(entry.get("values") for entry in entries)[order]


def _nearest(time: Float64Array, xyz: Float64Array, wanted: Float64Array) -> Float64Array:
    """Of the samples `xyz` at `time` (sorted) the nearest to each `wanted` time; NaN where none is near."""
    right = np.clip(np.searchsorted(time, wanted), 1, max(len(time) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(time) - 1)
    nearest = np.where(np.abs(time[right] - wanted) < np.abs(wanted - time[left]), right, left)
    return np.where(np.abs(time[nearest] - wanted)[:, None] <= JOIN_NS, xyz[nearest], np.nan)
