"""Units: one of each in m/s², and how many of each are a second."""

from __future__ import annotations

from typing import get_args

import pytest

from hard.settings import IngestSection
from hard.units import G_MS2, PLACES, TIME_UNITS, UNITS, is_place, place_of, stated_place


def test_units_of_acceleration_are_in_ms2() -> None:
    assert UNITS["m/s2"] == 1
    assert UNITS["g"] == G_MS2 == pytest.approx(9.81, abs=0.01)
    assert UNITS["mg"] * 1000 == pytest.approx(UNITS["g"])
    assert UNITS["mm/s2"] * 1000 == pytest.approx(UNITS["m/s2"])


def test_units_of_time_are_parts_of_a_second() -> None:
    assert TIME_UNITS == {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}


@pytest.mark.parametrize(("field", "units"), [("unit", UNITS), ("time_unit", TIME_UNITS)])
def test_the_settings_offer_these_units(field: str, units: dict[str, float]) -> None:
    assert set(get_args(IngestSection.model_fields[field].annotation)) <= set(units)


@pytest.mark.parametrize(
    ("name", "place"),
    [("left wrist", "wrist"), ("Back pocket", "pocket"), ("upper arm", "arm"), ("neck pouch", "any"), ("", "any")],
)
def test_a_place_is_known_by_its_last_word_that_is_one(name: str, place: str) -> None:
    assert place_of(name) == place
    assert place in PLACES
    assert (stated_place(name) or "any") == place
    assert is_place(name) == (place != "any")


def test_any_is_a_place_that_states_none() -> None:
    assert is_place("any")
    assert stated_place("any") is None
