"""Any document whatever, in every format that reads JSON or CBOR: samples of the right shapes, or a PayloadError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hard.formats import cbor, messagepack, native_json, phyphox, senml, sensor_logger
from hard.formats.formats import Read
from hard.formats.mapping import compile_mapping
from hard.formats.raw_samples import PayloadError
from hard.formats.ready_made import READY_MADE

KEYS = (
    *("t", "t0", "x", "y", "z", "xyz", "rate", "device", "payload", "name", "time", "values", "deviceId", "bn", "bt"),
    *("bu", "bv", "n", "u", "v", "accX", "accY", "accZ", "acc_time", "events", "event", "systemTime", "experimentTime"),
    *("Body", "Timestamp", "ArrayAcc", "Uri", "type", "timestamp", "sensors", "interval_ms", "units", "a", "s"),
)
WORDS = ("START", "accX", "accY", "accZ", "totalacceleration", "gravity", "accelerometer", "m/s2", "x", "y", "z", "5",
         "2023-11-14T22:13:20Z", "android.sensor.accelerometer", "/Meas/Acc/52")  # fmt: skip
PATHS = {"x": "$.x", "y": "a[*].y", "z": "z", "t": "$.t", "device": "device", "rate": "rate"}
READERS: dict[str, Read] = {
    "json": native_json.read, "senml": senml.read, "sensorlogger": sensor_logger.read, "phyphox": phyphox.read,
    **READY_MADE, "mapping": compile_mapping(PATHS),
    "mapped samples": compile_mapping({**PATHS, "samples": "$.s", "where": {"name": "x"}}),
}  # fmt: skip

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)


def check(read: Read, payload: bytes) -> None:
    try:
        raw = read(payload)
    except PayloadError:
        return
    assert raw.xyz.shape == (len(raw.xyz), 3)
    assert raw.time is None or raw.time.shape == (len(raw.xyz),)
    assert raw.time is None or raw.t0 is None


@pytest.mark.parametrize("name", READERS)
@given(document=documents)
def test_any_json_is_read_or_refused(name: str, document: Any) -> None:
    check(READERS[name], json.dumps(document).encode())


@pytest.mark.parametrize("read", [cbor.read, senml.read, READY_MADE["edgeimpulse"], READERS["mapping"]])
@given(document=documents)
def test_any_cbor_is_read_or_refused(read: Read, document: Any) -> None:
    check(read, cbor.encode(document))


@given(payload=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    for read in (*READERS.values(), cbor.read, messagepack.read):
        check(read, payload)
