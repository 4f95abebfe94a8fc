"""Any JSON or CBOR, by paths."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hard.formats import cbor
from hard.formats.mapping import compile_mapping
from hard.formats.raw_samples import PayloadError

T = 1_700_000_000.0
XYZ = {axis: f"$.{axis}" for axis in "xyz"}
NESTED = {"x": "$.accel.x", "y": "$.accel.y", "z": "$.accel.z", "t": "$.t", "device": "$.id"}


def raw(paths: dict[str, Any], document: Any) -> Any:
    return compile_mapping(paths)(json.dumps(document).encode())


def test_one_nested_sample_that_names_its_device() -> None:
    document = {"id": 7, "t": str(T), "accel": {"x": "1", "y": 2, "z": 3}}
    for found in (raw(NESTED, document), compile_mapping(NESTED)(cbor.encode(document))):
        np.testing.assert_array_equal(found.xyz, [[1, 2, 3]])
        np.testing.assert_array_equal(found.time, [T])
        assert found.device == "7"


def test_columns() -> None:
    found = raw(NESTED, {"id": "d", "t": [T, T + 1], "accel": {"x": [1, None], "y": [2, 5], "z": [3, 6]}})
    np.testing.assert_array_equal(found.time, [T, T + 1])
    np.testing.assert_array_equal(np.isfinite(found.xyz).all(axis=1), [True, False])
    spaced = raw({**NESTED, "rate": "$.hz"}, {"t": T, "hz": "at 50", "accel": {"x": [1, 4], "y": [2, 5], "z": [3, 6]}})
    assert (spaced.t0, spaced.rate_hz, spaced.time) == (T, 50.0, None)


@pytest.mark.parametrize("own", ["$.", "@.", ""])
def test_samples_have_paths_of_their_own_or_of_the_payload(own: str) -> None:
    paths = {axis: f"{own}a{axis}" for axis in "xyz"} | {"samples": "$.data.list", "device": "$.id", "t": f"{own}ms"}
    rows = [{"ax": 1, "ay": 2, "az": 3, "ms": 5}, {"ax": 4, "ay": 5, "az": 6, "ms": 25}, {"ax": 1}]
    found = raw(paths, {"id": "d", "data": {"list": rows}})
    np.testing.assert_array_equal(found.xyz[:2], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(found.time, [5, 25, np.nan])
    first = raw(paths | {"rate": "$.hz"}, {"ms": T, "hz": 50, "data": {"list": [{"ax": 1, "ay": 2, "az": 3}] * 2}})
    assert (first.t0, first.rate_hz, first.time) == (T, 50.0, None)


def test_samples_may_be_lists_and_the_payload_itself_a_list() -> None:
    batch = {"samples": "$.xyz", "x": "[0]", "y": "[1]", "z": "$[2]", "t": "$.timestamp", "rate": "$.rate"}
    found = raw(batch, {"timestamp": T * 1e3, "rate": 50, "xyz": [[1, 2, 3], [4, 5, 6]]})
    np.testing.assert_array_equal(found.xyz, [[1, 2, 3], [4, 5, 6]])
    assert (found.t0, found.rate_hz) == (T * 1e3, 50.0)
    np.testing.assert_array_equal(raw({"samples": "$", **XYZ}, [{"x": 1, "y": 2, "z": 3}]).xyz, [[1, 2, 3]])


@pytest.mark.parametrize("where", ["$.type == accel", "$.type=='accel'", {"$.type": "accel"}, {"type": "accel"}])
def test_only_messages_for_which_a_condition_holds_are_read(where: Any) -> None:
    paths = {**XYZ, "where": where}
    np.testing.assert_array_equal(raw(paths, {"type": "accel", "x": 1, "y": 2, "z": 3}).xyz, [[1, 2, 3]])
    for other in ({"type": "gyro", "x": 1, "y": 2, "z": 3}, {"x": 1}, 5):
        with pytest.raises(PayloadError) as caught:
            raw(paths, other)
        assert caught.value.reason == "other_sensor"


def test_a_condition_chooses_samples() -> None:
    paths = {"samples": "$.s", "x": "v.x", "y": "v.y", "z": "v.z", "where": {"kind": 2, "on": True}}
    rows = [{"kind": k, "on": True, "v": {"x": k, "y": k, "z": k}} for k in (1, 2, 3, 2)]
    np.testing.assert_array_equal(raw(paths, {"s": rows}).xyz, [[2, 2, 2], [2, 2, 2]])
    assert raw(paths, {"s": []}).xyz.shape == (0, 3)


@pytest.mark.parametrize(
    ("paths", "document", "detail"),
    [
        (XYZ, {"x": 1, "y": 2}, r"nothing is at \$.z"),
        (XYZ, 5, "nothing is at"),
        ({**XYZ, "samples": "$.s"}, {"x": 1, "y": 2, "z": 3}, r"\$.s \(samples\) leads to no list"),
        (XYZ, {"x": [1], "y": [1, 2], "z": [1]}, "differ in length"),
        (XYZ, {"x": [1], "y": 1, "z": [1]}, "differ in length"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_path(paths: Any, document: Any, detail: str) -> None:
    with pytest.raises(PayloadError, match=detail) as caught:
        raw(paths, document)
    assert caught.value.reason == "fields"


@pytest.mark.parametrize("paths", [{**XYZ, "t": "$..t"}, {**XYZ, "where": "type"}, {**XYZ, "where": {"": 1}}])
def test_bad_paths_are_refused_when_they_are_compiled(paths: Any) -> None:
    with pytest.raises(ValueError, match=r"path|PATH"):
        compile_mapping(paths)
