"""Predictions and device events → topics: `{device}/activity`, retained `{device}/state`. Knows no model.

Thread-safe: the label thread brings predictions, the assemble thread events.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import monotonic, time
from typing import Protocol

import msgspec

from hard.mqtt.outbox import Outgoing
from hard.outputs.state import UNKNOWN, Activity, State
from hard.records import DeviceEvent, Prediction, Window

AGAIN_A_TICK = 200


class Latency(msgspec.Struct):
    """Seconds: waiting for the batch, labelling it, and from receipt of the closing message to hand-over."""

    queue: float
    infer: float
    total: float


class ActivityPayload(msgspec.Struct):
    """The payload of `{prefix}/{device}/activity`; fields as documented in hard/README.md."""

    device: str
    label: str
    confidence: float
    accepted: bool
    probabilities: dict[str, float]
    start: float
    end: float
    window_id: str
    model: str
    latency_s: Latency
    coverage: float
    calibrated: bool
    up: tuple[float, ...]
    clock_offset_s: float
    degraded: bool
    replayed: bool


class StatePayload(msgspec.Struct):
    """The payload of `{prefix}/{device}/state`."""

    label: str
    since: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call of the classifier gave: predictions over `labels`, the model's name, monotonic begin and end."""

    predictions: Sequence[Prediction]
    labels: Sequence[str]
    model: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Observers:
    """Who is told: each prediction and whether it is accepted, the label's total latency in s unless it is replayed,
    and whether the broker took it."""

    labelled: Callable[[Prediction, bool], None]
    handed_over: Callable[[float], None]
    settled: Callable[[Window, bool], None]


class Companion(Protocol):
    """Publishes something of its own for each device, and is told of the devices' lives."""

    def live(self, device: str) -> None:
        """The device has its first label, or one after a silence."""

    def silent(self, device: str) -> None: ...

    def forgotten(self, device: str) -> None: ...


class Publisher:
    """Makes messages and hands them to `put`. A device no longer `known` gets no state: nobody would end it."""

    def __init__(
        self, put: Callable[[Outgoing], None], observers: Observers, known: Callable[[str], bool], *,
        prefix: str, qos: int, expiry_s: float, min_confidence: float, smooth_windows: int, max_devices: int,
        companion: Companion | None,
    ) -> None:  # fmt: skip
        self._put, self._observers, self._known, self._companion = put, observers, known, companion
        self._prefix, self._qos, self._expiry_s = prefix, qos, expiry_s
        self._min_confidence, self._smooth_windows, self._max_devices = min_confidence, smooth_windows, max_devices
        self._activities: OrderedDict[str, Activity] = OrderedDict()
        self._silent: dict[str, float] = {}  # devices that are, and since when on the monotonic clock
        self._connections = 0
        self._due: list[str] = []  # devices whose state is to be sent again
        self._encoder = msgspec.json.Encoder()
        self._lock = Lock()

    def change(self, min_confidence: float, smooth_windows: int) -> None:
        """From the next label on, and for devices not labelled yet."""
        self._min_confidence, self._smooth_windows = min_confidence, smooth_windows

    def publish(self, batch: Batch) -> None:
        """Sends each prediction, and the device's state where it changed."""
        for prediction in batch.predictions:
            window = prediction.window
            accepted = prediction.confidence >= self._min_confidence
            self._observers.labelled(prediction, accepted)
            self._put(
                Outgoing(
                    f"{self._prefix}/{window.device}/activity",
                    self._activity(prediction, accepted, batch),
                    self._qos,
                    settled=partial(self._observers.settled, window),
                    expires_at=window.received_wall + self._expiry_s,
                )
            )
            self._update(prediction, accepted)

    def _update(self, prediction: Prediction, accepted: bool) -> None:
        """The device's state. A window from before its device fell silent changes none: nobody would take it back."""
        window = prediction.window
        with self._lock:
            late = not window.replayed and window.received_at <= self._silent.get(window.device, 0.0)
            if late or not self._known(window.device):
                return
            self._silent.pop(window.device, None)
            new = window.device not in self._activities
            activity = self._activity_of(window.device)
            state = activity.update(prediction.label if accepted else UNKNOWN, prediction.confidence, window.start)
            if state:
                self._put_state(window.device, state)
            if new and self._companion:
                self._companion.live(window.device)

    def tick(self, connections: int) -> None:
        """Sends the states again after a new connection (`connections` counts), for the broker may have forgotten them;
        some at each call, so that they don't push labels out of the outbox."""
        with self._lock:
            if connections != self._connections:
                self._connections, self._due = connections, list(self._activities)
            due, self._due = self._due[:AGAIN_A_TICK], self._due[AGAIN_A_TICK:]
            for device in due:
                activity = self._activities.get(device)
                if activity and activity.state:
                    self._put_state(device, activity.state)

    def device_events(self, events: Iterable[DeviceEvent]) -> None:
        """A silent device's state becomes unknown, for its last label must not stay as if it were live; a forgotten
        device's retained state is removed."""
        for event in events:
            if event.kind not in ("silent", "forgotten"):
                continue
            with self._lock:
                self._activities.pop(event.device, None)
                if event.kind == "silent":
                    self._silent[event.device] = event.at
                    self._put_state(event.device, State(UNKNOWN, round(time(), 3), 0.0))
                else:
                    self._silent.pop(event.device, None)
                    self._put(Outgoing(f"{self._prefix}/{event.device}/state", bytes, self._qos, retain=True))
                if self._companion:
                    (self._companion.silent if event.kind == "silent" else self._companion.forgotten)(event.device)

    def _activity_of(self, device: str) -> Activity:
        activity = self._activities.get(device)
        if activity is None:
            if len(self._activities) >= self._max_devices:
                self._activities.popitem(last=False)
            activity = self._activities[device] = Activity(self._smooth_windows)
        else:
            self._activities.move_to_end(device)
        return activity

    def _activity(self, prediction: Prediction, accepted: bool, batch: Batch) -> Callable[[], bytes]:
        def render() -> bytes:
            window = prediction.window
            # A replayed window was received by an earlier process: only the wall clock still means something.
            total = time() - window.received_wall if window.replayed else monotonic() - window.received_at
            if not window.replayed:
                self._observers.handed_over(total)
            return self._encoder.encode(
                ActivityPayload(
                    device=window.device,
                    label=prediction.label,
                    confidence=round(prediction.confidence, 5),
                    accepted=accepted,
                    probabilities=dict(zip(batch.labels, prediction.probabilities.round(5).tolist(), strict=True)),
                    start=round(window.start, 6),
                    end=round(window.end, 6),
                    window_id=window.window_id,
                    model=batch.model,
                    latency_s=Latency(
                        round(max(0.0, batch.begun - window.received_at), 6),
                        round(batch.ended - batch.begun, 6),
                        round(total, 6),
                    ),
                    coverage=round(window.coverage, 4),
                    calibrated=window.calibrated,
                    up=tuple([round(u, 4) for u in window.up.tolist()]),
                    clock_offset_s=round(window.clock_offset_s, 3),
                    degraded=window.degraded,
                    replayed=window.replayed,
                )
            )

        return render

    def _put_state(self, device: str, state: State) -> None:
        payload = self._encoder.encode(StatePayload(state.label, round(state.since, 3), round(state.confidence, 5)))
        self._put(Outgoing(f"{self._prefix}/{device}/state", lambda: payload, self._qos, retain=True))
