"""Native JSON messages: the three shapes, and that what is written is read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hard.formats.native_json import read, write
from hard.formats.raw_samples import PayloadError

T = 1_700_000_000.0


def raw(value: Any) -> Any:
    return read(json.dumps(value).encode())


def test_a_batch_has_its_first_time_and_its_rate() -> None:
    batch = raw({"t0": T, "rate": 50, "xyz": [[1, 2, 3], [4, 5, 6]]})
    assert (batch.time, batch.t0, batch.rate_hz) == (None, T, 50)
    np.testing.assert_array_equal(batch.xyz, [[1, 2, 3], [4, 5, 6]])


def test_columns_and_a_single_sample_mean_the_same() -> None:
    columns = raw({"t": [T], "x": [1], "y": [2.5], "z": [3]})
    single = raw({"t": T, "x": 1, "y": 2.5, "z": 3})
    for one in (columns, single):
        np.testing.assert_array_equal(one.xyz, [[1, 2.5, 3]])
        np.testing.assert_array_equal(one.time, [T])
        assert (one.t0, one.rate_hz) == (None, None)


def test_fields_that_no_shape_has_are_ignored() -> None:
    """Fields of a device's own, a null where another shape has a field, and a rate beside times."""
    batch = raw({"t0": T, "rate": 50, "xyz": [[1, 2, 3]], "t": None, "x": None, "battery": 0.7})
    columns = raw({"t": [T], "x": [1], "y": [2], "z": [3], "rate": 50, "t0": None, "seq": [1]})
    assert batch.t0 == columns.time[0] == T
    assert columns.rate_hz == 50


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ({"t": T, "xyz": [[1, 2, 3]]}, "beside xyz"),
        ({"t0": T, "x": 1, "y": 2, "z": 3}, "t0 without xyz"),
        ({"t": T, "x": 1, "y": 2}, "neither xyz nor x, y and z"),
        ({"t": [T], "x": [1], "y": [2], "z": 3}, "all numbers or all lists"),
        ({"t": [T, T], "x": [1], "y": [2], "z": [3]}, "differ in length"),
    ],
)
def test_a_mixture_of_shapes_is_refused_with_what_is_wrong(value: Any, detail: str) -> None:
    with pytest.raises(PayloadError, match=detail) as caught:
        raw(value)
    assert caught.value.reason == "fields"


def test_even_and_uneven_times_are_read_as_they_were_written() -> None:
    xyz = np.random.default_rng(0).normal(0, 9, (50, 3))
    even = 1.8e9 + np.arange(50) / 50
    uneven = even + np.linspace(0, 0.01, 50) ** 2 + np.arange(50) % 2 * 0.003
    for time_s, is_batch in ((even, True), (uneven, False), (even[:1], True)):
        found = read(write(time_s, xyz[: len(time_s)], 50.0))
        assert (found.t0 is not None) == is_batch
        times = found.time if found.t0 is None else found.t0 + np.arange(len(found.xyz)) / found.rate_hz
        np.testing.assert_allclose(times, time_s, rtol=0, atol=6e-5)
        np.testing.assert_allclose(found.xyz, xyz[: len(time_s)], atol=1e-5)
