"""Diagnoses in words: each kind's sentence and setting, what is published and again when, the log, and the counts."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec
import pytest

from hard.mqtt.outbox import Outgoing
from hard.outputs import diagnosis
from hard.outputs.diagnosis import DiagnosisPublisher, sentence
from hard.records import PROBLEMS, DeviceProblem, Diagnosis
from hard.settings import load


class Published:
    """What was put into the outbox, by topic."""

    def __init__(self, *known: str, **options: Any) -> None:
        self.messages: list[Outgoing] = []
        self.known = set(known)
        given: dict[str, Any] = {"prefix": "hard", "max_devices": 10, "topics": ["sensors/{device}/accel"], **options}
        self.publisher = DiagnosisPublisher(self.messages.append, self.known.__contains__, **given)

    def update(self, device: str, *problems: DeviceProblem) -> list[Any]:
        self.publisher.update([Diagnosis(device, problems)])
        return self.problems(device)

    def problems(self, device: str) -> list[Any]:
        (*_, last) = [message for message in self.messages if message.topic == f"hard/{device}/diagnosis"]
        assert (last.qos, last.retain) == (1, True)
        return list(msgspec.json.decode(last.render())["problems"]) if last.render() else ["removed"]


@pytest.mark.parametrize(
    ("problem", "setting", "words"),
    [
        (DeviceProblem("no_gravity", 0), None, "gravity"),
        (DeviceProblem("unit", 0, 1.01), "ingest.unit=g", "come in g"),
        (DeviceProblem("unit", 0, 9.6), "ingest.unit=m/s2", "come in m/s2"),
        (DeviceProblem("unit", 0, 990.0), "ingest.scale=0.00980665", "come in mg"),
        (DeviceProblem("raw_counts", 0, 16500.0), "ingest.scale=0.000598550415", "16384 for 1 g"),
        (DeviceProblem("raw_counts", 0, 5000.0), "ingest.scale=0.00196133", "5000 for 1 g"),
        (DeviceProblem("slow", 0, 8.02), None, "8.02 samples a second"),
        (DeviceProblem("rate", 0, 104.0), "ingest.rate_hz=104", "104 Hz"),
        (DeviceProblem("rate", 0, detail="a rate of 0 Hz"), None, "a rate of 0 Hz"),
        (DeviceProblem("two_senders", 0), None, "two senders"),
        (DeviceProblem("stuck", 0), None, "stuck"),
        (DeviceProblem("late", 0, 2.4), "ingest.reorder_s=3", "2.4 s"),
        (DeviceProblem("late", 0, 3600.0), None, "3.6e+03 s"),
        (DeviceProblem("clipped", 0, 19.61), None, "19.6 m/s²"),
        (DeviceProblem("gaps", 0, 0.25), None, "25%"),
        (DeviceProblem("time_unit", 0, detail="times", setting="ingest.epoch=2000"), "ingest.epoch=2000", "times"),
        (DeviceProblem("malformed", 0, detail="not JSON"), None, "not JSON"),
        (DeviceProblem("retained", 0), None, "retain flag"),
        (DeviceProblem("shared_subscription", 0, 0.5), 'ingest.topics=["sensors/{device}/accel"]', "50%"),
    ],
)  # fmt: skip
def test_each_kind_has_a_sentence_and_a_setting_that_can_be_set(
    problem: DeviceProblem, setting: str | None, words: str
) -> None:
    told, found = sentence(problem)
    assert words in told
    assert found == setting
    if found:
        load(None, [found])  # raises where there is no such setting or value


def test_every_kind_has_words() -> None:
    for kind in PROBLEMS:
        told, _ = sentence(DeviceProblem(kind, 0, 100.0, "a detail"))
        assert told
        assert "\n" not in told


def test_a_diagnosis_is_published_and_removed_with_its_device() -> None:
    published = Published("a")
    since = time.monotonic() - 10
    (problem,) = published.update("a", DeviceProblem("unit", since, 1.0))
    assert problem["kind"] == "unit"
    assert problem["setting"] == "ingest.unit=g"
    assert problem["since"] == pytest.approx(time.time() - 10, abs=1.0)
    assert published.update("a") == []
    published.publisher.forget("a")
    assert published.problems("a") == ["removed"]
    assert published.update("unknown", DeviceProblem("malformed", since))[0]["kind"] == "malformed"
    assert published.update("unknown") == ["removed"], "nothing of it would ever be cleared"


def test_the_shared_topics_are_named_without_their_group() -> None:
    published = Published("a", topics=["$share/g/sensors/{device}/accel", "other/{device}"])
    (problem,) = published.update("a", DeviceProblem("shared_subscription", 0, 0.5))
    assert problem["setting"] == 'ingest.topics=["sensors/{device}/accel","other/{device}"]'


def test_problems_are_sent_again_after_a_new_connection_and_when_the_gateways_clock_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published = Published("a", "b")
    published.publisher.tick(1)
    published.update("a", DeviceProblem("unit", time.monotonic(), 1.0))
    published.update("b")
    published.messages.clear()
    published.publisher.tick(1)
    assert published.messages == []
    published.publisher.tick(2)
    assert [message.topic for message in published.messages] == ["hard/a/diagnosis"]
    before = published.problems("a")[0]["since"]
    set_by_s = 1e9
    monkeypatch.setattr(diagnosis, "time", lambda: time.time() + set_by_s)
    published.publisher.tick(2)
    assert published.problems("a")[0]["since"] == pytest.approx(before + set_by_s, abs=1.0)


def test_each_device_and_kind_is_logged_once_up_to_a_number_of_devices(caplog: pytest.LogCaptureFixture) -> None:
    published = Published(max_devices=2)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            for device in ("a", "b", "c"):
                published.update(device, DeviceProblem("unit", 0, 1.0))
                published.update(device)
        published.update("a", DeviceProblem("unit", 0, 1.0), DeviceProblem("gaps", 0, 0.5))
    logged = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in logged] == ["a", "b", "a"]
    assert logged[0].endswith("; ingest.unit=g (unit)")


def test_the_summary_counts_kinds_and_names_the_worst() -> None:
    published = Published("a", "b", "c")
    assert published.publisher.summary().commonest == ""
    published.update("a", DeviceProblem("gaps", 0, 0.2), DeviceProblem("late", 0, 2.0))
    published.update("b", DeviceProblem("unit", 0, 1.0), DeviceProblem("gaps", 0, 0.3))
    published.update("c", DeviceProblem("slow", 0, 8.0))
    summary = published.publisher.summary()
    assert summary.counts == {**dict.fromkeys(PROBLEMS, 0), "gaps": 2, "late": 1, "unit": 1, "slow": 1}
    assert list(summary.worst) == ["b", "c", "a"]
    assert summary.worst["b"] == ["unit", "gaps"]
    assert summary.commonest.startswith("2 devices: ")
