"""Predictions and device events → messages on `{device}/activity` and, retained, on `{device}/state`. Knows no model.

Thread-safe: the label thread publishes predictions, the assemble thread device events.
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
from hard.outputs.state import UNKNOWN, State, StateSmoother
from hard.records import DeviceEvent, Prediction, Window

STATES_PER_TICK = 200


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
    """What a call of the classifier returned: predictions over `labels`, the model's name, monotonic begin and end."""

    predictions: Sequence[Prediction]
    labels: Sequence[str]
    model: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class PublishCallbacks:
    """What the publisher calls for each label.

    `on_label`: the prediction, and whether it is accepted. `on_sent`: the total latency in s, unless it is replayed.
    `on_ack`: the window, and whether the broker has acknowledged its label.
    """

    on_label: Callable[[Prediction, bool], None]
    on_sent: Callable[[float], None]
    on_ack: Callable[[Window, bool], None]


class DeviceObserver(Protocol):
    """Publishes something of its own for each device; the publisher calls it when a device's state begins or ends."""

    def live(self, device: str) -> None:
        """The device has its first label, or one after a silence."""

    def silent(self, device: str) -> None: ...

    def forgotten(self, device: str) -> None: ...


class Publisher:
    """Makes messages and gives them to `put`. A device that is no longer `known` gets no state: its retained state
    would never be cleared."""

    def __init__(
        self, put: Callable[[Outgoing], None], callbacks: PublishCallbacks, known: Callable[[str], bool], *,
        prefix: str, qos: int, expiry_s: float, min_confidence: float, smooth_windows: int, max_devices: int,
        device_observer: DeviceObserver | None,
    ) -> None:  # fmt: skip
        self._put, self._callbacks, self._known, self._device_observer = put, callbacks, known, device_observer
        self._prefix, self._qos, self._expiry_s = prefix, qos, expiry_s
        self._min_confidence, self._smooth_windows, self._max_devices = min_confidence, smooth_windows, max_devices
        self._smoothers: OrderedDict[str, StateSmoother] = OrderedDict()
        self._silent: dict[str, float] = {}  # silent devices, and since when on the monotonic clock
        self._connections = 0
        self._due: list[str] = []  # devices whose state is to be sent again
        self._encoder = msgspec.json.Encoder()
        self._lock = Lock()

    def change(self, min_confidence: float, smooth_windows: int) -> None:
        """The threshold holds from the next label on, the smoothing for devices that have no label yet."""
        self._min_confidence, self._smooth_windows = min_confidence, smooth_windows

    def publish(self, batch: Batch) -> None:
        """Sends each prediction, and the device's state where it changed."""
        for prediction in batch.predictions:
            window = prediction.window
            accepted = prediction.confidence >= self._min_confidence
            self._callbacks.on_label(prediction, accepted)
            self._put(
                Outgoing(
                    f"{self._prefix}/{window.device}/activity",
                    self._activity(prediction, accepted, batch),
                    self._qos,
                    on_ack=partial(self._callbacks.on_ack, window),
                    expires_at=window.received_wall + self._expiry_s,
                )
            )
            self._update(prediction, accepted)

    def _update(self, prediction: Prediction, accepted: bool) -> None:
        """Sends the device's state where it changed. A window from before the device fell silent changes nothing:
        its label would stay."""
        window = prediction.window
        with self._lock:
            late = not window.replayed and window.received_at <= self._silent.get(window.device, 0.0)
            if late or not self._known(window.device):
                return
            self._silent.pop(window.device, None)
            new = window.device not in self._smoothers
            smoother = self._smoother(window.device)
            state = smoother.update(prediction.label if accepted else UNKNOWN, prediction.confidence, window.start)
            if state:
                self._put_state(window.device, state)
            if new and self._device_observer:
                self._device_observer.live(window.device)

    def tick(self, connections: int) -> None:
        """Sends the states again after a new connection (`connections` counts), since the broker may have lost them; at
        most STATES_PER_TICK at each call, so that they don't push labels out of the outbox."""
        with self._lock:
            if connections != self._connections:
                self._connections, self._due = connections, list(self._smoothers)
            due, self._due = self._due[:STATES_PER_TICK], self._due[STATES_PER_TICK:]
            for device in due:
                smoother = self._smoothers.get(device)
                if smoother and smoother.state:
                    self._put_state(device, smoother.state)

    def device_events(self, events: Iterable[DeviceEvent]) -> None:
        """A silent device's state becomes unknown, since its last label is no longer true; the retained state of a
        forgotten device is removed."""
        for event in events:
            if event.kind not in ("silent", "forgotten"):
                continue
            with self._lock:
                self._smoothers.pop(event.device, None)
                if event.kind == "silent":
                    self._silent[event.device] = event.at
                    self._put_state(event.device, State(UNKNOWN, round(time(), 3), 0.0))
                else:
                    self._silent.pop(event.device, None)
                    self._put(Outgoing(f"{self._prefix}/{event.device}/state", bytes, self._qos, retain=True))
                if observer := self._device_observer:
                    (observer.silent if event.kind == "silent" else observer.forgotten)(event.device)

    def _smoother(self, device: str) -> StateSmoother:
        smoother = self._smoothers.get(device)
        if smoother is None:
            if len(self._smoothers) >= self._max_devices:
                self._smoothers.popitem(last=False)
            smoother = self._smoothers[device] = StateSmoother(self._smooth_windows)
        else:
            self._smoothers.move_to_end(device)
        return smoother

    def _activity(self, prediction: Prediction, accepted: bool, batch: Batch) -> Callable[[], bytes]:
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
