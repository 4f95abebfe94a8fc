"""Values of documents → numbers, times, names."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from math import inf, isnan

import numpy as np
import pytest

from hard.formats.values import name, number, times, triples


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (-2.5, -2.5), ("3.25", 3.25), (" 4 ", 4.0), ("1e3", 1e3), (Decimal("0.5"), 0.5), (10**400, inf)],
)
def test_numbers_and_texts_that_are_numbers(value: object, expected: float) -> None:
    assert number(value) == expected


@pytest.mark.parametrize("value", [None, True, "", "x", "1,5", [], {}, b"1", Decimal("sNaN")])
def test_anything_else_is_nan(value: object) -> None:
    assert isnan(number(value))


def test_a_sample_that_is_not_three_numbers_is_nan() -> None:
    found = triples([[1, "2", 3.0], (4, 5, 6), {"z": 9, "y": 8, "x": 7}, [1, 2], None, "abc", 5, {"x": 1}])
    np.testing.assert_array_equal(found[:3], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert np.isnan(found[3:]).any(axis=1).all()
    assert triples([]).shape == (0, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-14T22:13:20Z", 1.7e9),
        ("2023-11-14T22:13:20.250", 1.7e9 + 0.25),
        ("2023-11-14 23:13:20+01:00", 1.7e9),
        ("20231114t221320z", 1.7e9),
        (datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 1.7e9),
        (datetime(2023, 11, 14, 22, 13, 20), 1.7e9),
    ],
)
def test_iso_8601_is_seconds_in_utc_where_it_names_no_zone(text: object, expected: float) -> None:
    found, unit = times([text])
    assert (found[0], unit) == (expected, "s")


def test_times_that_are_numbers_have_the_senders_unit_and_what_is_none_is_nan() -> None:
    found, unit = times([5, "6.5", None, "soon"])
    np.testing.assert_array_equal(found, [5, 6.5, np.nan, np.nan])
    assert unit is None
    found, unit = times(["2023-11-14T22:13:20Z", None, 7])
    np.testing.assert_array_equal(found, [1.7e9, np.nan, np.nan])
    assert unit == "s"


def test_a_name_is_text_or_a_whole_number() -> None:
    assert [name(value) for value in ("a", 7, 7.5, True, None, [])] == ["a", "7", None, None, None, None]
