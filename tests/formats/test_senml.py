"""SenML packs, JSON and CBOR."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hard.formats import cbor
from hard.formats.raw_samples import PayloadError
from hard.formats.senml import read

T = 1_700_000_000.0
PACK: list[dict[str, Any]] = [
    {"bn": "urn:dev:mac:0024befffe804ff1:", "bt": T, "bu": "m/s2", "n": "accel-x", "v": 1},
    {"n": "accel-y", "v": 2},
    {"n": "accel-z", "v": 3},
    {"n": "temperature", "u": "Cel", "v": 21.5},
    *({"n": f"accel-{axis}", "t": 0.02, "v": value} for axis, value in zip("xyz", (4, 5, 6), strict=True)),
    {"n": "label", "vs": "x"},
]


def raw(pack: Any) -> Any:
    return read(json.dumps(pack).encode())


def test_records_of_one_moment_are_a_sample() -> None:
    found = raw(PACK)
    np.testing.assert_array_equal(found.xyz, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(found.time, [T, T + 0.02])
    assert (found.device, found.unit, found.time_unit) == ("urn:dev:mac:0024befffe804ff1", "m/s2", "s")


def test_cbor_has_numbers_as_keys() -> None:
    keys = {"bn": -2, "bt": -3, "bu": -4, "n": 0, "u": 1, "v": 2, "vs": 3, "t": 6}
    found = read(cbor.encode([{keys[key]: value for key, value in record.items()} for record in PACK]))
    np.testing.assert_array_equal(found.xyz, [[1, 2, 3], [4, 5, 6]])
    assert found.time is not None
    assert found.time[0] == T


def test_times_relative_to_now_only_say_the_rate() -> None:
    steps = [(axis, -0.04 * i) for i in range(3) for axis in "xyz"]
    found = raw([{"n": axis, "t": t, "v": i} for i, (axis, t) in enumerate(steps)])
    np.testing.assert_array_equal(found.xyz, [[6, 7, 8], [3, 4, 5], [0, 1, 2]])
    assert found.time is None
    assert found.rate_hz == pytest.approx(25)
    single = raw([{"n": axis, "v": 1} for axis in "xyz"])
    assert (single.time, single.rate_hz, single.device, single.unit) == (None, None, None, None)


def test_a_base_value_is_added_and_a_missing_or_bad_value_is_nan() -> None:
    found = raw([{"bv": 10, "bt": T, "n": "x", "v": 1}, {"n": "y", "v": 2}, {"n": "z", "v": "?"},
                 {"n": "x", "t": 1, "v": 1}, {"n": "z", "t": "?", "v": 1}])  # fmt: skip
    np.testing.assert_array_equal(found.xyz[0, :2], [11, 12])
    assert np.isnan(found.xyz).any(axis=1).all()


def test_of_several_sensors_the_one_called_acc_counts() -> None:
    both = [{"bt": T, "n": f"{name}_{axis}", "v": v} for name, v in (("gyro", 1), ("acc", 2)) for axis in "xyz"]
    np.testing.assert_array_equal(raw(both).xyz, [[2, 2, 2]])


@pytest.mark.parametrize(
    ("pack", "reason"),
    [
        ({}, "fields"),
        ([1], "fields"),
        ([], "other_sensor"),
        ([{"n": "temperature", "v": 1}], "other_sensor"),
        ([{"bt": T, "n": "x", "v": 1}], "other_sensor"),
        ([{"bt": T, "u": "lx", "n": axis, "v": 1} for axis in "xyz"], "fields"),
        ([{"bt": T, "u": {}, "n": axis, "v": 1} for axis in "xyz"], "fields"),
        ([{"bt": T, "n": f"{name}_{axis}", "v": 1} for name in "ab" for axis in "xyz"], "fields"),
    ],
)
def test_what_holds_no_accelerations_is_refused(pack: Any, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        raw(pack)
    assert caught.value.reason == reason
