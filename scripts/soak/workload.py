"""What is sent, what must come of it, and what came: a publisher that keeps what was not acknowledged, a subscriber."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hard.daemon.wiring import make_decoder
from hard.model import bundle
from hard.recordings.default_rules import bundle_devices
from hard.records import Message
from hard.settings import Settings

RATE_HZ = 20.0
TOPIC = "sensors/{device}/accel"
UNSAVED_S = 1.5  # the broker saves its store once a second: what it acknowledged so long before its death it may lose


@dataclass(frozen=True, slots=True)
class Workload:
    """`devices` that send a message a second each, all at once; device time begins at `start`."""

    devices: int
    seconds: int
    start: float
    seed: int

    def names(self) -> list[str]:
        return [f"d{n:03}" for n in range(self.devices)]

    def payload(self, device: int, second: int) -> bytes:
        """A second of a stride at 1.8 Hz: the same for the same seed."""
        t = np.arange(RATE_HZ) / RATE_HZ + second
        noise = np.random.default_rng((self.seed, device, second)).normal(0, 0.3, (len(t), 3))
        xyz = np.stack([np.sin(11 * t), 9.8 + 4 * np.sin(11.3 * t), np.cos(11.3 * t)], axis=1) + noise
        return json.dumps({"t0": self.start + second, "rate": RATE_HZ, "xyz": xyz.round(3).tolist()}).encode()

    def expected(self) -> dict[str, tuple[int, int]]:
        """The windows that an undisturbed run publishes, by id, each with its device and its last second."""
        devices, decoder = bundle_devices(bundle.read(only=())), make_decoder(Settings())
        windows = {}
        for device, name in enumerate(self.names()):
            for second in range(self.seconds):
                at = self.start + second
                message = Message(TOPIC.replace("{device}", name), self.payload(device, second), at, at)
                for window in devices.push(decoder.decode(message))[0]:
                    windows[window.window_id] = (device, second)
        return windows


def persistent_client(port: int, client_id: str) -> paho.Client:
    """A client whose session outlives its connections and the broker; it connects when its loop starts."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    client.max_inflight_messages_set(2000)
    client.reconnect_delay_set(0.1, 0.5)  # type: ignore[arg-type]  # annotated as int
    client.connect_async("127.0.0.1", port)
    return client


class WorkloadPublisher:
    """Sends the workload at QoS 1, a context manager; remembers when the broker acknowledged each message."""

    def __init__(self, port: int, workload: Workload) -> None:
        self._workload, self._client = workload, persistent_client(port, "chaos-publisher")
        self._client.on_publish = self._on_publish
        self._sent: dict[int, tuple[int, int]] = {}  # by message id
        self._acknowledged_early: dict[int, float] = {}  # before `publish` gave the message id
        self._lock = threading.Lock()
        self.acknowledged: dict[tuple[int, int], float] = {}  # (device, second) → monotonic time

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, second: int) -> None:
        for device, name in enumerate(self._workload.names()):
            payload = self._workload.payload(device, second)
            mid = self._client.publish(TOPIC.replace("{device}", name), payload, qos=1).mid
            with self._lock:
                at = self._acknowledged_early.pop(mid, None)
                if at is None:
                    self._sent[mid] = (device, second)
                else:
                    self.acknowledged[device, second] = at

    def _on_publish(self, _: paho.Client, __: Any, mid: int, *___: object) -> None:
        with self._lock:
            sent = self._sent.pop(mid, None)
            if sent is None:
                self._acknowledged_early[mid] = time.monotonic()
            else:
                self.acknowledged[sent] = time.monotonic()


class Sender(threading.Thread):
    """Sends the workload, a burst a second from `begun` on, whatever happens to the other processes."""

    def __init__(self, publisher: WorkloadPublisher, seconds: int, begun: float) -> None:
        super().__init__(daemon=True)
        self._publisher, self._seconds, self._begun = publisher, seconds, begun
        self._stopped = threading.Event()
        self.sent_at: list[float] = []  # monotonic, of each second

    def run(self) -> None:
        for second in range(self._seconds):
            if self._stopped.wait(max(0.0, self._begun + second - time.monotonic())):
                return
            self.sent_at.append(time.monotonic())
            self._publisher.send(second)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


class Subscriber:
    """Counts window ids, a context manager. The broker keeps its session while it is away."""

    def __init__(self, port: int) -> None:
        self._client = persistent_client(port, "chaos-subscriber")
        self._client.on_connect = lambda client, *_: client.subscribe([("hard/+/activity", 1), ("hard/health", 1)])
        self._client.on_message = self._on_message
        self.counts: Counter[str] = Counter()
        self.replayed = 0
        self.last_at = time.monotonic()
        self.health: dict[str, Any] = {}
        # By window id, of its first label: when it came (monotonic), and how long after receipt (s).
        self.came_at: dict[str, tuple[float, float]] = {}

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        payload = json.loads(message.payload)
        if message.topic == "hard/health":
            self.health = payload
            return
        self.last_at = time.monotonic()
        self.counts[payload["window_id"]] += 1
        self.replayed += payload["replayed"]
        self.came_at.setdefault(payload["window_id"], (self.last_at, payload["latency_s"]["total"]))


@dataclass(frozen=True, slots=True)
class WorkloadResult:
    """Window ids that are `missing` without a reason, and numbers: windows that were expected, that the broker had
    acknowledged and lost, labels that came again, windows that no undisturbed run has."""

    expected: int
    missing: list[str]
    lost_by_broker: int
    repeats: int
    unknown: int


def judge(
    expected: dict[str, tuple[int, int]], acknowledged: dict[tuple[int, int], float], counts: Counter[str],
    broker_deaths: Sequence[float],
) -> WorkloadResult:  # fmt: skip
    """Compares what came with what was expected. A window is lost by the broker where a message of its four seconds, or
    of the one before, was acknowledged shortly before a death of the broker."""
    missing, lost = [], 0
    for window_id, (device, last) in expected.items():
        if counts[window_id]:
            continue
        times = [acknowledged.get((device, second)) for second in range(max(0, last - 4), last + 1)]
        if any(at is not None and 0 <= death - at <= UNSAVED_S for at in times for death in broker_deaths):
            lost += 1
        else:
            missing.append(window_id)
    repeats = sum(n - 1 for n in counts.values() if n > 1)
    unknown = len({window_id for window_id, n in counts.items() if n} - expected.keys())
    return WorkloadResult(len(expected), missing, lost, repeats, unknown)
