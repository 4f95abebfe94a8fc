"""Predictions and device events → messages on `{device}/activity`, `{device}/event` and, retained, `{device}/state`.

Knows no model. Thread-safe: the label thread publishes predictions, the assemble thread device events.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import monotonic, time
from typing import Protocol

import msgspec

from hard.mqtt.outbox import Outgoing
from hard.outputs.acceptance import Acceptance
from hard.outputs.state import Smoother, StateChange
from hard.records import DeviceEvent, Prediction, State, StateMemory, Window

STATES_PER_TICK = 200
CLOCK_SET = 946_684_800.0  # 2000 in Unix s: an earlier time is of a gateway that had not set its clock


class Latency(msgspec.Struct):
    """Seconds: waiting for the batch, labelling it, and from receipt of the closing message until it is sent."""

    queue: float
    infer: float
    total: float


class ActivityPayload(msgspec.Struct):
    """The payload of `{prefix}/{device}/activity`; fields as documented in hard/outputs/README.md."""

    device: str
    label: str
    confidence: float
    familiar: float | None
    accepted: bool
    parent: str | None
    probabilities: dict[str, float]
    start: float
    end: float
    window_id: str
    place: str | None
    model: str
    latency_s: Latency
    coverage: float
    calibrated: bool
    up: tuple[float, ...]
    clock_offset_s: float
    degraded: bool
    replayed: bool
    worn: bool
    problems: tuple[str, ...]


class StatePayload(msgspec.Struct):
    """The payload of `{prefix}/{device}/state`."""

    label: str
    since: float
    confidence: float


class EventPayload(msgspec.Struct):
    """The payload of `{prefix}/{device}/event`."""

    before: str | None = msgspec.field(name="from")
    to: str
    at: float


@dataclass(frozen=True, slots=True)
class Batch:
    """What a call of the classifier returned: predictions over `labels`, the model's name, monotonic begin and end."""

    predictions: Sequence[Prediction]
    labels: Sequence[str]
    model: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class PublishCallbacks:
    """What the publisher calls for each label, and when a device falls silent.

    `on_label`: the prediction, and whether it is accepted. `on_sent`: the total latency in s, unless it is replayed.
    `on_ack`: the window, the memory of the device's state after it (None where it changed none), and whether the broker
    has acknowledged its label. `on_silence_ack`: the device and its memory, when the broker has acknowledged the event.
    """

    on_label: Callable[[Prediction, bool], None]
    on_sent: Callable[[float], None]
    on_ack: Callable[[Window, StateMemory | None, bool], None]
    on_silence_ack: Callable[[str, StateMemory], None]


class DeviceObserver(Protocol):
    """Publishes something of its own for each device; the publisher calls it when a device's state begins or ends."""

    def live(self, device: str) -> None:
        """The device has its first label, or one after a silence."""

    def silent(self, device: str) -> None: ...

    def forgotten(self, device: str) -> None: ...


class Publisher:
    """Makes messages and gives them to `put`. A device that is no longer `known` gets no state: its retained state
    would never be cleared.

    A window's event comes first, then the state, then the label. A broker acknowledges in that order, so a label that
    it has acknowledged needs no event any more."""

    def __init__(
        self, put: Callable[[Outgoing], None], callbacks: PublishCallbacks, known: Callable[[str], bool], *,
        prefix: str, qos: int, expiry_s: float, acceptance: Acceptance, smoother: Smoother, max_devices: int,
        device_observer: DeviceObserver | None,
    ) -> None:  # fmt: skip
        self._put, self._callbacks, self._known, self._device_observer = put, callbacks, known, device_observer
        self._prefix, self._qos, self._expiry_s = prefix, qos, expiry_s
        self._acceptance, self._smoother, self._max_devices = acceptance, smoother, max_devices
        self._memories: OrderedDict[str, StateMemory] = OrderedDict()  # least recently labelled first
        self._live: set[str] = set()  # devices that the observer knows as live
        self._silent: dict[str, float] = {}  # silent devices, and since when on the monotonic clock
        self._connections = 0
        self._due: list[str] = []  # devices whose state is to be sent again
        self._encoder = msgspec.json.Encoder()
        self._lock = Lock()

    def change(self, acceptance: Acceptance, smoother: Smoother) -> None:
        """Both hold from the next label on."""
        with self._lock:
            self._acceptance, self._smoother = acceptance, smoother

    def restore(self, memories: Mapping[str, StateMemory]) -> None:
        """Goes on from the states of an earlier process, whose devices need not be known yet. Call it before the first
        `publish`."""
        with self._lock:
            self._memories.update(memories)

    def publish(self, batch: Batch) -> None:
        """Sends each prediction, and before it the device's state where it changed."""
        for prediction in batch.predictions:
            window = prediction.window
            accepted = self._acceptance.accepts(prediction)
            self._callbacks.on_label(prediction, accepted)
            with self._lock:
                memory = self._update(prediction, accepted)
                self._put(
                    Outgoing(
                        f"{self._prefix}/{window.device}/activity",
                        self._activity(prediction, accepted, batch),
                        self._qos,
                        on_ack=partial(self._callbacks.on_ack, window, memory),
                        expires_at=window.received_wall + self._expiry_s,
                    )
                )

    def _update(self, prediction: Prediction, accepted: bool) -> StateMemory | None:
        """Sends the device's state where it changed, and gives the memory of it. A window from before the device fell
        silent changes nothing: its label would stay."""
        window = prediction.window
        device = window.device
        late = not window.replayed and window.received_at <= self._silent.get(device, 0.0)
        if late or not self._known(device):
            return None
        self._silent.pop(device, None)
        memory = self._memories.get(device)
        if memory and memory.end < CLOCK_SET <= window.start:
            memory = None  # `since` is of a clock that had not been set
        update = self._smoother.update(memory, prediction, accepted=accepted)
        self._remember(device, update.memory)
        for change in update.changes:
            self._put_event(device, change, _nothing)
            self._put_state(device, change.state, _nothing)
        if device not in self._live:
            self._live.add(device)
            if self._device_observer:
                self._device_observer.live(device)
        return update.memory

    def end_states(self, devices: Iterable[str]) -> None:
        """These devices' labels mean nothing any more: their states become unknown, also where no window follows."""
        with self._lock:
            for device in devices:
                if self._known(device):
                    self._end(device)

    def tick(self, connections: int) -> None:
        """Sends the states again after a new connection (`connections` counts), since the broker may have lost them; at
        most STATES_PER_TICK at each call, so that they don't push labels out of the outbox."""
        with self._lock:
            if connections != self._connections:
                self._connections, self._due = connections, list(self._memories)
            due, self._due = self._due[:STATES_PER_TICK], self._due[STATES_PER_TICK:]
            for device in due:
                memory = self._memories.get(device)
                if memory and memory.state and self._known(device):
                    self._put_state(device, memory.state)

    def device_events(self, events: Iterable[DeviceEvent]) -> None:
        """A silent device's state becomes unknown, since its last label is no longer true; the retained state of a
        forgotten device is removed."""
        for event in events:
            if event.kind not in ("silent", "forgotten"):
                continue
            with self._lock:
                self._live.discard(event.device)
                if event.kind == "silent":
                    self._silent[event.device] = event.at
                    self._end(event.device)
                else:
                    self._memories.pop(event.device, None)
                    self._silent.pop(event.device, None)
                    self._put(Outgoing(f"{self._prefix}/{event.device}/state", bytes, self._qos, retain=True))
                if observer := self._device_observer:
                    (observer.silent if event.kind == "silent" else observer.forgotten)(event.device)

    def _end(self, device: str) -> None:
        """The state of a silent or unusable device is unknown from the end of its last window on; without a window,
        from now."""
        memory = self._memories.get(device)
        if memory is None:
            now = round(time(), 3)
            memory = StateMemory(None, now, now)
        update = self._smoother.end(memory)
        self._remember(device, update.memory)

        def on_ack(taken: bool) -> None:
            if taken:
                self._callbacks.on_silence_ack(device, update.memory)

        for change in update.changes:
            self._put_event(device, change, on_ack if change is update.changes[-1] else _nothing)
            self._put_state(device, change.state, _nothing)

    def _remember(self, device: str, memory: StateMemory) -> None:
        if device not in self._memories and len(self._memories) >= self._max_devices:
            self._memories.popitem(last=False)
        self._memories[device] = memory
        self._memories.move_to_end(device)

    def _activity(self, prediction: Prediction, accepted: bool, batch: Batch) -> Callable[[], bytes]:
        # The labels differ where a reload came between the batch and its publication.
        parent = self._acceptance.parent(prediction) if batch.labels == self._acceptance.labels else None

        def render() -> bytes:
            window = prediction.window
            # A replayed window was received by an earlier process: only the wall clock still means something.
            total = time() - window.received_wall if window.replayed else monotonic() - window.received_at
            if not window.replayed:
                self._callbacks.on_sent(total)
            return self._encoder.encode(
                ActivityPayload(
                    device=window.device,
                    label=prediction.label,
                    confidence=round(prediction.confidence, 5),
                    familiar=None if prediction.familiar is None else round(prediction.familiar, 4),
                    accepted=accepted,
                    parent=parent,
                    probabilities=dict(zip(batch.labels, prediction.probabilities.round(5).tolist(), strict=True)),
                    start=round(window.start, 6),
                    end=round(window.end, 6),
                    window_id=window.window_id,
                    place=window.place,
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
                    worn=window.worn,
                    problems=window.problems,
                )
            )

        return render

    def _put_event(self, device: str, change: StateChange, on_ack: Callable[[bool], None]) -> None:
        payload = self._encoder.encode(EventPayload(change.before, change.state.label, round(change.state.since, 3)))
        self._put(Outgoing(f"{self._prefix}/{device}/event", lambda: payload, 1, on_ack=on_ack))

    def _put_state(self, device: str, state: State, on_ack: Callable[[bool], None] | None = None) -> None:
        """`on_ack` is called as for a label, so that both are dropped together at a stop."""
        payload = self._encoder.encode(StatePayload(state.label, round(state.since, 3), round(state.confidence, 5)))
        self._put(Outgoing(f"{self._prefix}/{device}/state", lambda: payload, self._qos, retain=True, on_ack=on_ack))


def _nothing(taken: bool) -> None:
    """Nothing is to be done: the label that follows says whether the broker took them."""
