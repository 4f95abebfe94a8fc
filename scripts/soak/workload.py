"""What is sent, what must come of it, and what came: a publisher that keeps what was not acknowledged, a subscriber."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass

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
NEAR_S = 1.5  # the broker saves its store once a second: so much before its death is what it may have lost


@dataclass(frozen=True)
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
        shipped = bundle.read(only=())
        devices, decoder = bundle_devices(shipped), make_decoder(Settings())
        windows = {}
        for device, name in enumerate(self.names()):
            for second in range(self.seconds):
                at = self.start + second
                message = Message(TOPIC.replace("{device}", name), self.payload(device, second), at, at)
                for window in devices.push(decoder.decode(message))[0]:
                    windows[window.window_id] = (device, second)
        return windows


def client(port: int, name: str) -> paho.Client:
    made = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
    made.max_inflight_messages_set(2000)
    made.reconnect_delay_set(0.1, 0.5)  # type: ignore[arg-type]
    made.connect_async("127.0.0.1", port)
    return made


class Publisher:
    """Sends the plan in real time, QoS 1; remembers when the broker acknowledged each message."""

    def __init__(self, port: int, plan: Workload) -> None:
        self._plan, self._client = plan, client(port, "chaos-publisher")
        self._client.on_publish = self._on_publish
        self._waiting: dict[int, tuple[int, int]] = {}
        self._early: dict[int, float] = {}
        self._lock = threading.Lock()
        self.acknowledged: dict[tuple[int, int], float] = {}  # (device, second) → monotonic time

    def __enter__(self) -> Publisher:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, second: int) -> None:
        for device, name in enumerate(self._plan.names()):
            info = self._client.publish(TOPIC.replace("{device}", name), self._plan.payload(device, second), qos=1)
            with self._lock:
                at = self._early.pop(info.mid, None)
                if at is None:
                    self._waiting[info.mid] = (device, second)
                else:
                    self.acknowledged[device, second] = at

    def _on_publish(self, _client, _data, mid: int, *_: object) -> None:
        with self._lock:
            sent = self._waiting.pop(mid, None)
            if sent is None:
                self._early[mid] = time.monotonic()
            else:
                self.acknowledged[sent] = time.monotonic()


class Sender(threading.Thread):
    """Sends the plan, a burst a second from `begun` on, whatever happens to the others; remembers when."""

    def __init__(self, publisher: Publisher, seconds: int, begun: float) -> None:
        super().__init__(daemon=True)
        self._publisher, self._seconds, self._begun = publisher, seconds, begun
        self._enough = threading.Event()
        self.sent_at: list[float] = []  # monotonic

    def run(self) -> None:
        for second in range(self._seconds):
            if self._enough.wait(max(0.0, self._begun + second - time.monotonic())):
                return
            self.sent_at.append(time.monotonic())
            self._publisher.send(second)

    def stop(self) -> None:
        self._enough.set()
        self.join()


class Subscriber:
    """Counts window ids. Its session outlives the broker, as far as the broker keeps it."""

    def __init__(self, port: int) -> None:
        self._client = client(port, "chaos-subscriber")
        self._client.on_connect = lambda c, *_: c.subscribe([("hard/+/activity", 1), ("hard/health", 1)])
        self._client.on_message = self._on_message
        self.counts: Counter[str] = Counter()
        self.replayed = self.sent_again = 0
        self.last_at = time.monotonic()
        self.health: dict = {}
        self.came_at: dict[str, tuple[float, float]] = {}  # by window id: monotonic, and since receipt, the first time

    def __enter__(self) -> Subscriber:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client, _data, message: paho.MQTTMessage) -> None:
        payload = json.loads(message.payload)
        if message.topic == "hard/health":
            self.health = payload
            return
        self.last_at = time.monotonic()
        self.counts[payload["window_id"]] += 1
        self.replayed += payload["replayed"]
        self.sent_again += message.dup
        self.came_at.setdefault(payload["window_id"], (self.last_at, payload["latency_s"]["total"]))


@dataclass(frozen=True)
class Outcome:
    """Windows expected, missing for no reason, missing that the broker had acknowledged and lost, repeats, unknown."""

    expected: int
    missing: list[str]
    lost_by_broker: int
    repeats: int
    sent_again: int
    unknown: int


def judge(plan: Workload, publisher: Publisher, subscriber: Subscriber, broker_deaths: list[float]) -> Outcome:
    expected = plan.expected()
    missing, lost = [], 0
    for window_id, (device, last) in expected.items():
        if subscriber.counts[window_id]:
            continue
        times = [publisher.acknowledged.get((device, second)) for second in range(max(0, last - 4), last + 1)]
        if any(t is not None and 0 <= death - t <= NEAR_S for t in times for death in broker_deaths):
            lost += 1
        else:
            missing.append(window_id)
    return Outcome(
        len(expected), missing, lost, sum(n - 1 for n in subscriber.counts.values() if n > 1), subscriber.sent_again,
        len(set(subscriber.counts) - set(expected)),
    )  # fmt: skip
