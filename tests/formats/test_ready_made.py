"""The ready-made mappings."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hard.formats import cbor
from hard.formats.raw_samples import PayloadError
from hard.formats.ready_made import READY_MADE, read_edge_impulse, read_movesense, read_sensorspot
from hard.setting_types import READY_MADE_MAPPINGS

EDGE: dict[str, Any] = {
    "protected": {"ver": "v1", "alg": "none"},
    "signature": "0",
    "payload": {
        "device_name": "ac:87:a3:0a:2d:1b", "interval_ms": 20,
        "sensors": [{"name": "gyrX"}, *({"name": f"acc{axis}", "units": "m/s2"} for axis in "XYZ")],
        "values": [[9, 1, 2, 3], [9, 4, 5, 6]],
    },
}  # fmt: skip


def test_the_settings_know_the_same_names() -> None:
    assert tuple(READY_MADE) == READY_MADE_MAPPINGS


def test_sensorspot_sends_a_sample_with_its_time_since_boot() -> None:
    found = read_sensorspot(b'{"type":"android.sensor.accelerometer","values":[1,2,3],"timestamp":123456789000000}')
    np.testing.assert_array_equal(found.xyz, [[1, 2, 3]])
    np.testing.assert_array_equal(found.time, [123456789000000])
    assert (found.time_unit, found.uptime) == ("ns", True)


@pytest.mark.parametrize("uri", ["221430000042/Meas/Acc/52", "/221430000042/Meas/Acc/52", "221430000042/Meas/IMU6/52"])
def test_movesense_sends_a_batch_whose_uri_names_rate_and_device(uri: str) -> None:
    samples = [{"x": 1, "y": 2, "z": 3}, {"x": 4, "y": 5, "z": 6}]
    found = read_movesense(json.dumps({"Body": {"Timestamp": 5000, "ArrayAcc": samples}, "Uri": uri}).encode())
    np.testing.assert_array_equal(found.xyz, [[1, 2, 3], [4, 5, 6]])
    assert (found.t0, found.rate_hz, found.device) == (5000.0, 52.0, "221430000042")
    assert (found.time_unit, found.uptime) == ("ms", True)


@pytest.mark.parametrize("payload", [json.dumps(EDGE).encode(), cbor.encode(EDGE)])
def test_edge_impulse_names_its_columns_units_and_interval(payload: bytes) -> None:
    found = read_edge_impulse(payload)
    np.testing.assert_array_equal(found.xyz, [[1, 2, 3], [4, 5, 6]])
    assert (found.rate_hz, found.device, found.unit) == (50.0, "ac:87:a3:0a:2d:1b", "m/s2")
    assert (found.time, found.t0) == (None, None)


@pytest.mark.parametrize(
    ("name", "document", "reason"),
    [
        ("sensorspot", {"type": "android.sensor.gyroscope", "values": [1, 2, 3]}, "other_sensor"),
        ("sensorspot", [], "fields"),
        ("movesense", {"Body": {"ArrayGyro": []}}, "other_sensor"),
        ("edgeimpulse", {"payload": {"sensors": [], "values": []}}, "other_sensor"),
        ("edgeimpulse", {"payload": {"sensors": 5}}, "fields"),
        ("edgeimpulse", {}, "fields"),
        ("edgeimpulse", {"payload": {"sensors": [{"name": f"acc{a}", "units": "?"} for a in "XYZ"], "values": []}},
         "fields"),
        ("edgeimpulse", {"payload": {"sensors": [{"name": f"acc{a}", "units": []} for a in "XYZ"], "values": []}},
         "fields"),
    ],
)  # fmt: skip
def test_others_are_refused(name: str, document: Any, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        READY_MADE[name](json.dumps(document).encode())
    assert caught.value.reason == reason


def test_a_bad_sample_is_nan_and_a_bad_time_too() -> None:
    found = read_sensorspot(b'{"type":"android.sensor.accelerometer","values":[1,null,3]}')
    assert np.isnan(found.xyz).any()
    assert np.isnan(found.time).all()  # type: ignore[arg-type]
    short = {**EDGE["payload"], "values": [[9, 1, 2], None, [9, 4, 5, 6]], "interval_ms": 0}
    edge = read_edge_impulse(json.dumps({"payload": short}).encode())
    np.testing.assert_array_equal(np.isfinite(edge.xyz).all(axis=1), [False, False, True])
    assert edge.rate_hz == 0
