"""Predictions and device events → events and retained states: no state outlives what its device sends."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hard.mqtt.outbox import Outgoing
from hard.outputs.acceptance import Acceptance
from hard.outputs.publisher import Batch, PublishCallbacks, Publisher
from hard.outputs.state import MajoritySmoother
from hard.records import DeviceEvent, Prediction, StateMemory, Window

LABELS = ("Walking", "Sitting")


class Broker:
    """Keeps what is retained, as a broker does, and the topics of all messages."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.events: list[tuple[str, str]] = []
        self.sent: list[Outgoing] = []
        self.resolved: list[tuple[str, StateMemory | None, bool]] = []
        self.ended: list[tuple[str, StateMemory]] = []
        callbacks = PublishCallbacks(
            lambda *_: None, lambda _: None,
            lambda window, memory, taken: self.resolved.append((window.device, memory, taken)),
            lambda device, memory: self.ended.append((device, memory)),
        )  # fmt: skip
        self.known = set("abcdef")
        self.publisher = Publisher(
            self.put, callbacks, self.known.__contains__, prefix="hard", qos=1, expiry_s=86_400.0,
            acceptance=Acceptance(("Walking", "Sitting"), {}, 0.0),
            smoother=MajoritySmoother(1), max_devices=100, device_observer=self,
        )  # fmt: skip

    def put(self, outgoing: Outgoing) -> None:
        payload = outgoing.render()
        self.sent.append(outgoing)
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

    def label(
        self, device: str, received_at: float, label: str = "Walking", *, start: float = 0.0, replayed: bool = False
    ) -> None:
        still = np.zeros((80, 3), np.float32)
        window = Window(
            device, start, start + 4, still, 1.0, still[0], still[0], True, 0.0, received_at, 0.0, False, replayed
        )
        prediction = Prediction(window, label, 0.9, np.array([0.9, 0.1]))
        self.publisher.publish(Batch([prediction], LABELS, "m", received_at, received_at))

    def event(self, device: str, kind: str, at: float) -> None:
        if kind == "forgotten":
            self.known.discard(device)
        self.publisher.device_events([DeviceEvent(device, kind, at)])  # type: ignore[arg-type]

    def changes(self, device: str) -> list[dict[str, object]]:
        """The events of a device."""
        return [json.loads(o.render()) for o in self.sent if o.topic == f"hard/{device}/event"]

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


def test_a_change_is_an_event_before_the_state_before_the_label() -> None:
    broker = Broker()
    broker.label("a", 1.0)
    broker.label("a", 2.0, start=1.0)
    broker.label("a", 3.0, "Sitting", start=2.0)
    activity, event, state = (f"hard/a/{kind}" for kind in ("activity", "event", "state"))
    assert [o.topic for o in broker.sent] == [event, state, activity, activity, event, state, activity]
    assert {(o.qos, o.retain) for o in broker.sent if o.topic == event} == {(1, False)}
    assert broker.changes("a") == [
        {"from": None, "to": "Walking", "at": 0.0}, {"from": "Walking", "to": "Sitting", "at": 2.0},
    ]  # fmt: skip
    assert all(o.on_ack for o in broker.sent), "at a stop they are dropped with their label"


def test_a_silence_ends_the_state_with_the_last_window() -> None:
    broker = Broker()
    broker.label("a", 1.0, start=100.0)
    broker.event("a", "silent", 5.0)
    broker.event("a", "silent", 6.0)
    assert broker.changes("a")[1:] == [{"from": "Walking", "to": "unknown", "at": 104.0}]
    assert json.loads(broker.retained["hard/a/state"]) == {"label": "unknown", "since": 104.0, "confidence": 0.0}


def test_a_restart_goes_on_from_the_memory_of_the_last_label_that_the_broker_took() -> None:
    first, again = Broker(), Broker()
    first.label("a", 1.0)
    first.label("a", 2.0, "Sitting", start=1.0)
    walking, _ = (o for o in first.sent if o.topic == "hard/a/activity")
    assert walking.on_ack
    walking.on_ack(True)
    ((device, memory, taken),) = first.resolved
    assert memory
    assert (device, taken) == ("a", True)
    again.publisher.restore({device: memory, "not restored": memory})
    again.label("a", 2.0, "Sitting", start=1.0, replayed=True)
    assert again.changes("a") == first.changes("a")[1:]
    assert again.events == [("live", "a")]
    again.publisher.tick(1)
    assert list(again.retained) == ["hard/a/state"]
    assert again.retained["hard/a/state"] == first.retained["hard/a/state"]


def test_a_restored_state_may_be_of_a_device_that_becomes_known_later() -> None:
    first, again = Broker(), Broker()
    first.label("a", 1.0)
    (label,) = (o for o in first.sent if o.topic == "hard/a/activity")
    assert label.on_ack
    label.on_ack(True)
    ((device, memory, _),) = first.resolved
    assert memory
    again.known.clear()
    again.publisher.restore({device: memory})
    again.publisher.tick(1)
    assert again.retained == {}, "it would never be cleared"
    again.known.add("a")
    again.label("a", 2.0, "Sitting", start=1.0)
    assert again.changes("a") == [{"from": "Walking", "to": "Sitting", "at": 1.0}]


def test_a_restored_silence_is_no_second_event() -> None:
    first, again = Broker(), Broker()
    first.label("a", 1.0)
    first.event("a", "silent", 5.0)
    (event,) = (o for o in first.sent if o.topic == "hard/a/event" and b"unknown" in o.render())
    assert event.on_ack
    event.on_ack(False)
    assert first.ended == []
    event.on_ack(True)
    again.publisher.restore(dict(first.ended))
    again.event("a", "silent", 5.0)
    assert again.changes("a") == []
    again.publisher.tick(1)
    assert again.retained == {"hard/a/state": first.retained["hard/a/state"]}


def test_another_smoother_goes_on_from_the_state() -> None:
    broker = Broker()
    broker.label("a", 1.0)
    broker.publisher.change(Acceptance(LABELS, {}, 0.95), MajoritySmoother(3))
    broker.label("a", 2.0, "Sitting", start=1.0)
    assert broker.state("a") == "Walking"
    broker.label("a", 3.0, "Sitting", start=2.0)
    assert broker.changes("a")[-1] == {"from": "Walking", "to": "unknown", "at": 1.0}


def test_a_state_of_a_gateway_whose_clock_was_not_set_begins_anew() -> None:
    broker = Broker()
    broker.label("a", 1.0, start=9.0)
    broker.label("a", 2.0, start=1_700_000_000.0)
    assert [change["from"] for change in broker.changes("a")] == [None, None]
    assert json.loads(broker.retained["hard/a/state"])["since"] == 1_700_000_000.0


def test_the_state_of_a_device_whose_labels_mean_nothing_any_more_ends() -> None:
    broker = Broker()
    broker.label("a", 1.0)
    broker.publisher.end_states(["a", "b"])
    assert broker.state("a") == "unknown"
    assert broker.state("b") == ("unknown" if "b" in broker.known else None)
    broker.label("a", 2.0, start=5.0)
    assert broker.state("a") == "Walking"
