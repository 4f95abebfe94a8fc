"""Settings → the rules of senders."""

from __future__ import annotations

from typing import Any

import pytest

from hard.daemon.sender_settings import make_senders, unknown_places
from hard.settings import DeviceEntry, IngestSection, Settings, SettingsError
from hard.units import G_MS2


def test_the_defaults_change_nothing() -> None:
    _, rules = make_senders(Settings()).by_topic("sensors/a/accel")
    assert (rules.format.name, rules.ms2_per_unit, rules.scaled, rules.units_per_s) == ("json", 1.0, False, 1.0)
    assert (rules.clock, rules.epoch_s, rules.rate_hz, rules.axes, rules.mapped) == ("unix", 0.0, None, None, None)


def test_an_entry_replaces_what_it_names() -> None:
    entry = DeviceEntry(match="a", unit="g", axes="-z,y,x", mapping={"x": "x", "y": "y", "z": "z"}, format="mapping")
    _, rules = make_senders(Settings(devices=(entry,), ingest=IngestSection(time_unit="ms"))).by_topic(
        "sensors/a/accel"
    )
    assert (rules.ms2_per_unit, rules.axes, rules.units_per_s) == (G_MS2, ([2, 1, 0], [-1.0, 1.0, 1.0]), 1000.0)
    assert rules.read is rules.mapped


@pytest.mark.parametrize(
    ("ingest", "entry", "sentence"),
    [
        (
            {"format": "csv", "topics": ("acc",)},
            {},
            "ingest.topics: 'acc' must have {device} as one whole level, since",
        ),
        ({"format": "mapping"}, {}, "ingest.format: mapping needs ingest.mapping"),
        ({}, {"format": "mapping"}, "devices.0.format: mapping needs devices.0.mapping"),
        ({"mapping": {"x": "$..x", "y": "y", "z": "z"}}, {}, "ingest.mapping: '$..x' is no path such as $.accel.x"),
        ({}, {"mapping": {"x": "x", "y": "y", "z": "z", "where": "x"}}, "devices.0.mapping: where: 'x' is not of"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(ingest: Any, entry: Any, sentence: str) -> None:
    settings = Settings(ingest=IngestSection(**ingest), devices=(DeviceEntry(match="a", **entry),))
    with pytest.raises(SettingsError) as caught:
        make_senders(settings)
    assert str(caught.value).startswith(sentence)


def test_a_place_that_hard_does_not_know_counts_as_any_and_is_named() -> None:
    entries = (DeviceEntry(match="a", place="Left wrist"), DeviceEntry(match="b", place="neck"))
    settings = Settings(devices=entries, ingest=IngestSection(place="somewhere"))
    senders = make_senders(settings)
    assert [senders.by_topic(f"sensors/{device}/accel")[1].place for device in "abc"] == ["wrist", None, None]
    assert [sentence.partition(" is none of pocket, ")[0] for sentence in unknown_places(settings)] == [
        "ingest.place: 'somewhere'",
        "devices.1.place: 'neck'",
    ]
    assert unknown_places(Settings()) == []
