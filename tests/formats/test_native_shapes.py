"""HARD's own shapes in documents of any encoding: what is read loosely, and what is refused in plain words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from hard.formats.native_shapes import loosely
from hard.formats.raw_samples import PayloadError

T = 1_700_000_000.0


def test_texts_are_numbers_in_every_shape() -> None:
    batch = loosely({"t0": str(T), "rate": "50", "xyz": [["1", "2", "3"], [4, 5, 6]], "device": 7})
    assert (batch.t0, batch.rate_hz, batch.device) == (T, 50.0, "7")
    np.testing.assert_array_equal(batch.xyz, [[1, 2, 3], [4, 5, 6]])
    single = loosely({"t": str(T), "x": "1", "y": "2", "z": "3"})
    columns = loosely({"t": [str(T)], "x": ["1"], "y": ["2"], "z": [3]})
    for one in (single, columns):
        np.testing.assert_array_equal(one.xyz, [[1, 2, 3]])
        np.testing.assert_array_equal(one.time, [T])


def test_a_list_of_samples() -> None:
    found = loosely([{"t": T, "x": 1, "y": 2, "z": 3}, {"t": T + 1, "x": 4, "y": "5", "z": 6, "device": "d"}])
    np.testing.assert_array_equal(found.xyz, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(found.time, [T, T + 1])
    assert found.device == "d"
    assert loosely([{"x": 1, "y": 2, "z": 3}]).time is None


def test_a_bad_sample_is_nan_and_the_others_keep_their_place() -> None:
    batch = loosely({"t0": T, "rate": 50, "xyz": [[1, 2, 3], None, [1, None, 3], [7, 8, 9]]})
    np.testing.assert_array_equal(np.isnan(batch.xyz).any(axis=1), [False, True, True, False])
    listed = loosely([{"t": T, "x": 1, "y": 2, "z": 3}, None, 5, {"x": 1, "y": 2, "z": 3}])
    assert listed.time is not None
    np.testing.assert_array_equal(np.isnan(listed.time), [False, True, True, True])
    columns = loosely({"t": [T, None], "x": [1, 2], "y": [1, None], "z": [1, 2]})
    np.testing.assert_array_equal(np.isnan(columns.xyz).any(axis=1), [False, True])


def test_iso_times_have_a_unit_of_their_own() -> None:
    for document in (
        {"t0": "2023-11-14T22:13:20", "rate": 50, "xyz": [[1, 2, 3]]},
        {"t": "2023-11-14T22:13:20Z", "x": 1, "y": 2, "z": 3},
        {"t": ["2023-11-14T22:13:20Z"], "x": [1], "y": [2], "z": [3]},
        [{"t": "2023-11-14T23:13:20+01:00", "x": 1, "y": 2, "z": 3}],
    ):
        found = loosely(document)
        assert found.time_unit == "s"
        assert (found.t0 if found.time is None else found.time[0]) == T


JARGON = re.compile(r"`|expected|got |tuple|\barray\b|struct|NoneType|\$\.", re.IGNORECASE)


@pytest.mark.parametrize(
    "document",
    [5, None, "x", [1, 2], {}, {"x": 1}, {"xyz": 7}, {"xyz": {"x": 1}}, {"t0": [1], "rate": 1, "xyz": [[1, 2, 3]]},
     {"t": 1, "xyz": [[1, 2, 3]]}, {"x": [1], "y": 2, "z": [3]}, {"x": [1], "y": [2, 3], "z": [3]},
     {"accel": {"x": 1}}, [{"t0": 1, "rate": 2, "xyz": [[1, 2, 3]]}]],
)  # fmt: skip
def test_no_shape_is_refused_in_plain_words(document: Any) -> None:
    with pytest.raises(PayloadError) as caught:
        loosely(document)
    assert caught.value.reason == "fields"
    assert not JARGON.search(str(caught.value)), str(caught.value)
