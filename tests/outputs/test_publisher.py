"""Predictions and device events → retained states: none outlives what its device sends."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hard.mqtt.outbox import Outgoing
from hard.outputs.publisher import Batch, PublishCallbacks, Publisher
from hard.records import DeviceEvent, Prediction, Window

LABELS = ("Walking", "Sitting")


class Broker:
    """Keeps what is retained, as a broker does."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.events: list[tuple[str, str]] = []
        callbacks = PublishCallbacks(lambda *_: None, lambda _: None, lambda *_: None)
        self.known = set("abcdef")
        self.publisher = Publisher(
            self.put, callbacks, self.known.__contains__, prefix="hard", qos=1, expiry_s=86_400.0, min_confidence=0.0,
            smooth_windows=1, max_devices=100, device_observer=self,
        )  # fmt: skip

    def put(self, outgoing: Outgoing) -> None:
        payload = outgoing.render()
        if outgoing.retain and payload:
            self.retained[outgoing.topic] = payload
        elif outgoing.retain:
            self.retained.pop(outgoing.topic, None)

    def live(self, device: str) -> None:
        self.events.append(("live", device))

    def silent(self, device: str) -> None:
        self.events.append(("silent", device))

    def forgotten(self, device: str) -> None:
        self.events.append(("forgotten", device))

    def label(self, device: str, received_at: float, label: str = "Walking", *, replayed: bool = False) -> None:
        still = np.zeros((80, 3), np.float32)
        window = Window(device, 0.0, 4.0, still, 1.0, still[0], still[0], True, 0.0, received_at, 0.0, False, replayed)
        prediction = Prediction(window, label, 0.9, np.array([0.9, 0.1]))
        self.publisher.publish(Batch([prediction], LABELS, "m", received_at, received_at))

    def event(self, device: str, kind: str, at: float) -> None:
        if kind == "forgotten":
            self.known.discard(device)
        self.publisher.device_events([DeviceEvent(device, kind, at)])  # type: ignore[arg-type]

    def state(self, device: str) -> str | None:
        payload = self.retained.get(f"hard/{device}/state")
        return json.loads(payload)["label"] if payload else None


def test_a_late_window_of_a_silent_or_forgotten_device_changes_no_state() -> None:
    broker = Broker()
    broker.label("a", 1.0)
    assert broker.state("a") == "Walking"
    broker.event("a", "silent", 5.0)
    broker.label("a", 2.0)
    assert broker.state("a") == "unknown"
    broker.event("a", "forgotten", 9.0)
    broker.label("a", 2.5)
    assert broker.retained == {}
    broker.known.add("a")  # it is back
    broker.label("a", 9.5, "Sitting")
    assert broker.state("a") == "Sitting"
    assert broker.events == [("live", "a"), ("silent", "a"), ("forgotten", "a"), ("live", "a")]


def test_a_silent_device_of_an_earlier_process_becomes_unknown() -> None:
    broker = Broker()
    broker.retained["hard/a/state"] = b'{"label": "Walking", "since": 1, "confidence": 0.9}'
    broker.event("a", "silent", 5.0)
    assert broker.state("a") == "unknown"


def test_states_are_sent_again_after_a_new_connection() -> None:
    broker = Broker()
    broker.publisher.tick(1)
    broker.label("a", 1.0)
    broker.label("b", 2.0, "Sitting")
    broker.label("c", 3.0)
    broker.event("c", "forgotten", 4.0)
    kept = dict(broker.retained)
    broker.retained.clear()  # a broker without persistence was started anew
    broker.publisher.tick(1)
    assert broker.retained == {}
    broker.publisher.tick(2)
    assert broker.retained == kept
    assert set(kept) == {"hard/a/state", "hard/b/state"}


def test_a_replayed_window_sets_the_state_whatever_its_time_of_receipt() -> None:
    broker = Broker()
    broker.event("a", "silent", 5.0)
    broker.label("a", 1.0, replayed=True)
    assert broker.state("a") == "Walking"


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["label", "late", "silent", "forgotten"])), max_size=60
    )
)
def test_only_devices_that_were_not_forgotten_have_a_retained_state(steps: list[tuple[str, str]]) -> None:
    broker, expected = Broker(), dict[str, str]()
    for now, (device, step) in enumerate(steps, 1):
        if step == "label":
            broker.known.add(device)
            broker.label(device, float(now))
            expected[device] = "Walking"
        elif step == "late":
            broker.label(device, 0.5)
            if device in broker.known and device not in expected:
                expected[device] = "Walking"  # its first label
        else:
            broker.event(device, step, float(now))
            expected[device] = "unknown"
            if step == "forgotten":
                del expected[device]
    assert {topic.split("/")[1]: broker.state(topic.split("/")[1]) for topic in broker.retained} == expected
