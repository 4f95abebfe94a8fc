"""The ready-made names of `ingest.mapping`: SensorSpot, Movesense and Edge Impulse's acquisition format."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import numpy as np

from hard.formats import documents, values
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

ACCELEROMETER = "android.sensor.accelerometer"
_MOVESENSE_URI = re.compile(r"(?:.*?([^/]*)/)?Meas/(?:Acc|IMU\d*m?)/(\d+)", re.IGNORECASE)
_EDGE_IMPULSE_UNITS = {"m/s2": "m/s2", "m/s²": "m/s2", "m/s^2": "m/s2", "g": "g", "mg": "mg"}


def read_sensorspot(payload: bytes) -> RawSamples:
    """`{"type", "values": [x, y, z], "timestamp"}`, ns since boot. Raises PayloadError."""
    document = _object(payload, "SensorSpot")
    if (kind := document.get("type")) != ACCELEROMETER:
        raise PayloadError("other_sensor", f"SensorSpot sends {str(kind)[:40]!r}, not {ACCELEROMETER}")
    time, _ = values.times([document.get("timestamp")])
    return RawSamples(values.triples([document.get("values")]), time, time_unit="ns", uptime=True)


def read_movesense(payload: bytes) -> RawSamples:
    """`{"Body": {"Timestamp", "ArrayAcc": [{"x", "y", "z"}, …]}, "Uri"}`: ms since start of the first sample; the Uri
    names the device and ends in the rate. Raises PayloadError."""
    document = _object(payload, "Movesense")
    body = document.get("Body")
    if not isinstance(body, dict) or not isinstance(body.get("ArrayAcc"), list):
        raise PayloadError("other_sensor", "a message of Movesense without Body.ArrayAcc")
    uri = _MOVESENSE_URI.fullmatch(str(document.get("Uri")).strip("/"))
    device, rate_hz = (uri[1] or None, float(uri[2])) if uri else (None, None)
    time, _ = values.times([body.get("Timestamp")])
    return RawSamples(
        values.triples(body["ArrayAcc"]), None, float(time[0]), rate_hz, device, time_unit="ms", uptime=True
    )


def read_edge_impulse(payload: bytes) -> RawSamples:
    """`{"payload": {"device_name", "interval_ms", "sensors": [{"name", "units"}, …], "values": [[…], …]}}`. Raises
    PayloadError."""
    content = _object(payload, "Edge Impulse").get("payload")
    sensors, rows = (content.get(key) for key in ("sensors", "values")) if isinstance(content, dict) else (None, None)
    if not isinstance(content, dict) or not isinstance(sensors, list) or not isinstance(rows, list):
        raise PayloadError("fields", "not a message of Edge Impulse: payload has no lists of sensors and values")
    names = [str(sensor.get("name")).lower() if isinstance(sensor, dict) else "" for sensor in sensors]
    columns = [i for axis in "xyz" for i, name in enumerate(names) if name in (f"acc{axis}", axis)]
    if len(columns) != 3:
        raise PayloadError("other_sensor", "a message of Edge Impulse without sensors accX, accY and accZ")
    unit = sensors[columns[0]].get("units")
    if unit is not None and str(unit) not in _EDGE_IMPULSE_UNITS:
        raise PayloadError("fields", f"the units {str(unit)[:20]!r} are none of {', '.join(_EDGE_IMPULSE_UNITS)}")
    triples = [
        [row[column] for column in columns] if isinstance(row, list) and len(row) == len(names) else None
        for row in rows
    ]
    interval = content.get("interval_ms")
    rate_hz = None if interval is None else 1000 / (values.number(interval) or np.inf)
    device, unit = values.name(content.get("device_name")), _EDGE_IMPULSE_UNITS.get(str(unit))
    return RawSamples(values.triples(triples), rate_hz=rate_hz, device=device, unit=unit)


READY_MADE: dict[str, Callable[[bytes], RawSamples]] = {
    "sensorspot": read_sensorspot,
    "movesense": read_movesense,
    "edgeimpulse": read_edge_impulse,
}


def write_sensorspot(time_s: Float64Array, xyz: Float64Array) -> list[bytes]:
    """A message a sample, with times since boot."""
    return [
        msgspec.json.encode({"type": ACCELEROMETER, "values": row, "timestamp": round(t * 1e9)})
        for t, row in zip(time_s.tolist(), xyz.tolist(), strict=True)
    ]


def write_movesense(time_s: Float64Array, xyz: Float64Array, rate_hz: float, device: str) -> bytes:
    """A batch with times since start."""
    samples = [dict(zip("xyz", row, strict=True)) for row in xyz.tolist()]
    body = {"Timestamp": round(float(time_s[0]) * 1e3), "ArrayAcc": samples}
    return msgspec.json.encode({"Body": body, "Uri": f"{device}/Meas/Acc/{rate_hz:.0f}"})


def write_edge_impulse(xyz: Float64Array, rate_hz: float, device: str) -> bytes:
    """A batch without times."""
    sensors = [{"name": f"acc{axis}", "units": "m/s2"} for axis in "XYZ"]
    content = {
        "device_name": device, "device_type": "HARD", "interval_ms": 1000 / rate_hz, "sensors": sensors,
        "values": xyz.tolist(),
    }  # fmt: skip
    protected = {"ver": "v1", "alg": "none"}
    return msgspec.json.encode({"protected": protected, "signature": "0" * 64, "payload": content})


def _object(payload: bytes, sender: str) -> dict[str, object]:
    document = documents.parse(payload)
    if not isinstance(document, dict):
        raise PayloadError("fields", f"not a message of {sender}: it is no object")
    return document
