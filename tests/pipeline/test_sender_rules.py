"""Which rules hold for a sender."""

from __future__ import annotations

from typing import Any

import pytest

from hard.daemon.sender_settings import make_senders
from hard.formats.raw_samples import PayloadError
from hard.pipeline.sender_rules import MAX_CACHED, Senders
from hard.settings import DeviceEntry, IngestSection, Settings


def senders(*entries: dict[str, Any], **ingest: Any) -> Senders:
    devices = tuple(DeviceEntry(**entry) for entry in entries)
    return make_senders(Settings(ingest=IngestSection(**ingest), devices=devices))


def test_the_first_entry_that_matches_holds_whole() -> None:
    rules = senders({"match": "phone-*", "rate_hz": 50}, {"match": "*-1", "rate_hz": 20, "clock": "uptime"}, epoch=2000)
    for device, rate_hz, clock in (("phone-1", 50, "unix"), ("belt-1", 20, "uptime"), ("Phone-2", None, "unix")):
        found = rules.by_topic(f"sensors/{device}/accel")
        assert (found[0], found[1].rate_hz, found[1].clock) == (device, rate_hz, clock)
        assert found[1].epoch_s == 946_684_800
        assert rules.by_topic(f"sensors/{device}/accel") is found


def test_a_topic_without_a_device_is_matched_whole_and_then_the_payloads_name() -> None:
    rules = senders(
        {"match": "sensor-*", "format": "sensorlogger"}, {"match": "phone-1", "rate_hz": 50}, topics=("sensor-logger",)
    )
    device, found = rules.by_topic("sensor-logger")
    assert (device, found.format.name) == (None, "sensorlogger")
    assert rules.by_name("phone-1", found)[1].rate_hz == 50
    assert rules.by_name("phone-2", found) == ("phone-2", found)


@pytest.mark.parametrize("topic", ["other", "sensors/@a/accel", "sensors//accel", "sensors/a/b/accel"])
def test_topics_that_name_no_device_are_refused_each_time(topic: str) -> None:
    rules = senders()
    for _ in range(2):
        with pytest.raises(PayloadError, match="names no device"):
            rules.by_topic(topic)


def test_a_flood_of_names_is_bounded_and_harms_none() -> None:
    rules = senders({"match": "d7", "rate_hz": 7}, topics=("a", "b/{device}"))
    default = rules.by_topic("a")[1]
    for i in range(MAX_CACHED + 100):
        rules.by_topic(f"b/d{i}")
        rules.by_name(f"d{i}", default)
    assert rules.by_topic("b/d7")[1].rate_hz == rules.by_name("d7", default)[1].rate_hz == 7
