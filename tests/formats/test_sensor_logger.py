"""Messages of the app Sensor Logger."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hard.formats.raw_samples import PayloadError
from hard.formats.sensor_logger import read

NS = 1_700_000_000_000_000_000


def entries(name: str, values: list[Any], at: list[int] | None = None) -> list[dict[str, Any]]:
    at = at or [NS + i * 20_000_000 for i in range(len(values))]
    return [
        {"name": name, "time": t, "values": dict(zip("xyz", v, strict=True)), "accuracy": 3}
        for t, v in zip(at, values, strict=True)
    ]


def raw(*parts: list[dict[str, Any]], **fields: Any) -> Any:
    payload = [entry for part in parts for entry in part]
    return read(
        json.dumps({"messageId": 0, "sessionId": "s", "deviceId": "d-1", "payload": payload, **fields}).encode()
    )


def test_android_sends_total_acceleration() -> None:
    found = raw(entries("gyroscope", [[9, 9, 9]]), entries("accelerometer", [[0, 0, 0]]),
                entries("totalacceleration", [[1, 2, 3], [4, 5, 6]]))  # fmt: skip
    np.testing.assert_array_equal(found.xyz, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(found.time, [NS, NS + 2e7])
    assert (found.device, found.time_unit, found.uptime) == ("d-1", "ns", False)


def test_ios_sends_gravity_apart_and_both_are_added_sample_by_sample() -> None:
    mixed = [*entries("accelerometer", [[1, 0, 0], [2, 0, 0], [3, 0, 0]]), *entries("gravity", [[0, 9, 0], [0, 8, 0]])]
    found = raw(mixed[::-1])
    np.testing.assert_array_equal(found.xyz, [[1, 9, 0], [2, 8, 0], [3, 8, 0]])


def test_an_acceleration_without_its_gravity_is_nan() -> None:
    found = raw(entries("accelerometer", [[1, 0, 0], [2, 0, 0]], [NS, NS + 10**9]), entries("gravity", [[0, 9, 0]]))
    np.testing.assert_array_equal(np.isnan(found.xyz).any(axis=1), [False, True])


def test_without_gravity_it_says_what_to_switch_on() -> None:
    with pytest.raises(PayloadError, match=r"without gravity: switch on Total Acceleration") as caught:
        raw(entries("accelerometer", [[1, 0, 0]]), entries("gyroscope", [[0, 9, 0]]))
    assert caught.value.reason == "no_gravity"


def test_a_message_of_other_sensors_is_no_fault() -> None:
    with pytest.raises(PayloadError) as caught:
        raw(entries("gyroscope", [[1, 0, 0]]), [{"name": "location", "values": {"latitude": 1}}])
    assert caught.value.reason == "other_sensor"


def test_a_bad_sample_is_nan() -> None:
    found = raw(entries("totalacceleration", [[1, 2, 3], [1, None, "x"]]),
                [{"name": "TotalAcceleration"}, {"name": None}, 5])  # type: ignore[list-item]  # fmt: skip
    np.testing.assert_array_equal(np.isfinite(found.xyz).all(axis=1), [True, False, False])
    assert np.isnan(found.time[2])


@pytest.mark.parametrize("payload", [b"[]", b"{}", b'{"payload": {}}', b'{"payload": null}', b"5"])
def test_other_json_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError, match="Sensor Logger") as caught:
        read(payload)
    assert caught.value.reason == "fields"
