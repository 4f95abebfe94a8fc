"""What is sent is known beforehand, and what came is judged by it."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest
from soak.workload import Sender, Subscriber, Workload, WorkloadPublisher, judge
from support.mosquitto import Mosquitto

from hard.commands.processes import wait_until
from hard.mqtt.simple_client import SimpleClient

WORKLOAD = Workload(devices=2, seconds=6, start=1_700_000_000.0, seed=3)
EXPECTED = {"a:4000": (0, 3), "a:5000": (0, 4)}


def test_the_same_seed_gives_the_same_payloads() -> None:
    assert WORKLOAD.payload(0, 2) == WORKLOAD.payload(0, 2) != WORKLOAD.payload(1, 2)
    batch = json.loads(WORKLOAD.payload(0, 2))
    assert batch["t0"] == WORKLOAD.start + 2
    assert len(batch["xyz"]) == batch["rate"] == 20


def test_every_window_is_expected_with_the_second_that_closes_it() -> None:
    windows = WORKLOAD.expected()
    assert len(windows) == 2 * 3  # windows of four seconds, a second apart, within six seconds
    assert windows["d000:1700000004000"] == (0, 3)
    assert windows["d001:1700000006000"] == (1, 5)


def test_a_window_that_came_once_is_neither_missing_nor_repeated() -> None:
    verdict = judge(EXPECTED, {}, Counter({"a:4000": 1, "a:5000": 1}), [])
    assert (verdict.expected, verdict.missing, verdict.repeats, verdict.unknown) == (2, [], 0, 0)


def test_repeats_and_unknown_windows_are_counted() -> None:
    verdict = judge(EXPECTED, {}, Counter({"a:4000": 3, "a:5000": 1, "b:1000": 1}), [])
    assert (verdict.repeats, verdict.unknown) == (2, 1)


@pytest.mark.parametrize(("death", "lost"), [(10.5, 1), (13.0, 0), (9.5, 0)])
def test_a_window_is_lost_by_the_broker_only_shortly_after_it_acknowledged(death: float, lost: int) -> None:
    verdict = judge(EXPECTED, {(0, 4): 10.0}, Counter({"a:4000": 1}), [death])
    assert verdict.lost_by_broker == lost
    assert verdict.missing == ["a:5000"] * (1 - lost)


def test_what_the_broker_acknowledged_is_known_for_every_message(mosquitto: Mosquitto) -> None:
    with WorkloadPublisher(mosquitto.port, WORKLOAD) as publisher:
        sender = Sender(publisher, 2, time.monotonic() - 1)
        sender.start()
        wait_until(lambda: len(publisher.acknowledged) == 4, "the messages were not acknowledged", 30)
        sender.stop()
    assert publisher.acknowledged.keys() == {(device, second) for device in (0, 1) for second in (0, 1)}
    assert len(sender.sent_at) == 2


def test_the_subscriber_counts_labels_and_keeps_the_health_record(mosquitto: Mosquitto) -> None:
    label = json.dumps({"window_id": "a:4000", "replayed": True, "latency_s": {"total": 0.5}}).encode()
    with Subscriber(mosquitto.port) as subscriber, SimpleClient(mosquitto.address) as client:
        wait_until(lambda: "Sending SUBACK to chaos-subscriber" in mosquitto.log, "no subscription", 30)
        client.publish("hard/a/activity", label)
        client.publish("hard/a/activity", label)
        client.publish("hard/health", b'{"balanced": true}')
        wait_until(lambda: subscriber.health, "the health record did not come", 30)
    assert subscriber.counts == {"a:4000": 2}
    assert subscriber.replayed == 2
    assert subscriber.came_at["a:4000"][1] == 0.5
