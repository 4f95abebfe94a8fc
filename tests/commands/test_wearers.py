"""Simulated wearers: what they publish, and when they stop."""

from __future__ import annotations

import json
import threading
import time

from support.mosquitto import Mosquitto

from hard.commands.wearers import Wearers
from hard.mqtt.simple_client import SimpleClient


def test_each_wearer_publishes_its_seconds_with_the_clock_of_now(mosquitto: Mosquitto) -> None:
    before = time.time()
    with SimpleClient(mosquitto.address, ("in/#",)) as client:
        wearers = Wearers(2, name="w", rate_hz=10.0, among=("Sitting",))
        wearers.publish(client, "in/{device}", threading.Event(), seconds=1)
        received = [client.received.get(timeout=60) for _ in range(2)]
    assert [topic for topic, _ in received] == ["in/w-1", "in/w-2"]
    assert all(before <= json.loads(payload)["t0"] <= time.time() for _, payload in received)
    assert (wearers.counts.messages, wearers.counts.samples) == (2, 20)


def test_it_stops_when_asked(mosquitto: Mosquitto) -> None:
    stop = threading.Event()
    stop.set()
    with SimpleClient(mosquitto.address) as client:
        wearers = Wearers(1)
        wearers.publish(client, "in/{device}", stop)
    assert wearers.counts.messages == 0


def test_the_same_seed_gives_the_same_motion() -> None:
    first, second, other = (Wearers(1, seed=seed).by_name["sim-1"].take(50).xyz.tolist() for seed in (1, 1, 2))
    assert first == second != other
