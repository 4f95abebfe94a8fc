"""SenML (RFC 8428), as JSON or CBOR: records of one value each, named by `bn` + `n`, whose name ends in x, y or z.

Times below 2^28 s are relative to now; they only say the rate, and the last sample is as old as the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isnan, nan

import msgspec
import numpy as np

from hard.formats import documents, values
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

KEYS = {-2: "bn", -3: "bt", -4: "bu", -5: "bv", 0: "n", 1: "u", 2: "v", 6: "t"}  # of CBOR (RFC 8428, 6)
RELATIVE_S = 2.0**28  # RFC 8428, 4.5.3
UNITS = {"m/s2": "m/s2", "g": "g", None: None}  # "g" is the gram; as an acceleration it can only be meant as gravity
_NAME = re.compile(r"(.*?)[^a-z0-9]*([xyz])", re.IGNORECASE | re.DOTALL)

Axes = dict[str, dict[float, float]]  # of one sensor: the values of each axis by time


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError."""
    document = documents.parse(payload)
    if not isinstance(document, list):
        raise PayloadError("fields", "not SenML: it is no list of records")
    sensors, units, device = _sensors(document)
    whole = [name for name, axes in sensors.items() if {*axes} == {*"xyz"}]
    if len(whole) > 1:
        whole = [name for name in whole if "acc" in name.lower()] or whole
    if not whole:
        raise PayloadError("other_sensor", "no records whose names end in x, y and z")
    if len(whole) > 1:
        raise PayloadError("fields", "records of x, y and z of several sensors, and not one is called acc")
    axes, unit = sensors[whole[0]], units[whole[0]]
    if not isinstance(unit, str | None) or unit not in UNITS:
        raise PayloadError("fields", f"the unit {str(unit)[:20]!r} is no acceleration's: m/s2 or g")
    time = np.array(sorted({t for axis in axes.values() for t in axis}))
    xyz = np.array([[axes[axis].get(t, nan) for axis in "xyz"] for t in time.tolist()], dtype=float).reshape(-1, 3)
    if len(time) and time[-1] < RELATIVE_S:
        rate = (len(time) - 1) / float(time[-1] - time[0]) if len(time) > 1 else None
        return RawSamples(xyz, rate_hz=rate, device=device, unit=UNITS[unit])
    return RawSamples(xyz, time, device=device, time_unit="s", unit=UNITS[unit])


def write(time_s: Float64Array, xyz: Float64Array, device: str) -> bytes:
    """A pack of three records a sample."""
    records: list[dict[str, object]] = [
        {"n": axis, "t": round(t - float(time_s[0]), 6), "v": value}
        for t, row in zip(time_s.tolist(), xyz.tolist(), strict=True)
        for axis, value in zip("xyz", row, strict=True)
    ]
    records[0] = {"bn": f"{device}:", "bt": float(time_s[0]), "bu": "m/s2", **records[0]}
    return msgspec.json.encode(records)


def _sensors(records: Iterable[object]) -> tuple[dict[str, Axes], dict[str, object], str | None]:
    """The axes and the unit of each sensor by its name, and the device: the base name, or what precedes the axis."""
    base: dict[str, object] = {}
    sensors: dict[str, Axes] = {}
    units: dict[str, object] = {}
    device: str | None = None
    for entry in records:
        if not isinstance(entry, Mapping):
            raise PayloadError("fields", "not SenML: a record is no object")
        record = {KEYS.get(key, key) if isinstance(key, int) else key: value for key, value in entry.items()}
        base.update({key: record[key] for key in ("bn", "bt", "bu", "bv") if key in record})
        base_name, own_name = (part if isinstance(part, str) else "" for part in (base.get("bn"), record.get("n")))
        name = _NAME.fullmatch(base_name + own_name)
        if name is None or "v" not in record:
            continue
        t = _sum(base.get("bt"), record.get("t"))
        if isnan(t):
            continue
        sensors.setdefault(name[1], {}).setdefault(name[2].lower(), {})[t] = _sum(base.get("bv"), record["v"])
        units.setdefault(name[1], record.get("u", base.get("bu")))
        device = device or (base_name or name[1]).rstrip(":/_-.;, ") or None
    return sensors, units, device


def _sum(base: object, own: object) -> float:
    return sum(values.number(part) for part in (base, own) if part is not None)
