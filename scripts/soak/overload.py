"""Twice as many windows as the model can label: are the newest served, does memory stay flat, does it recover?

The model is slowed down to CAPACITY windows a second, so that the load is known on any machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as paho

from soak.processes import KILL, TERM, Broker, Daemon, unbalanced, until
from soak.workload import Publisher, Workload, client

CAPACITY = 400  # windows/s
HOP_S = 0.2
BUSY, CALM = 160, 20  # devices; each closes 1 / HOP_S windows a second
FRESH_S = 2.0
RECOVERED_WITHIN_S = 10.0
CALM_S = 20
MOST_GROWTH = 1.2
SHORT_S = 300
SLOWED = f"""
import time
from hard.model.classifier import Classifier
labelled = Classifier.classify
def classify(self, windows, *others):
    begun = time.monotonic()
    predictions = labelled(self, windows, *others)
    time.sleep(max(0.0, begun + len(windows) / {CAPACITY} - time.monotonic()))
    return predictions
Classifier.classify = classify
"""


class Label(NamedTuple):
    at: float  # monotonic
    device: str
    age_s: float
    here_s: float  # of it, since the message was received: the rest it spent at the device and at the broker
    degraded: bool


class Ages:
    """How old each label is when it comes: by the wall clock, from its window's end, which was just then."""

    def __init__(self, port: int) -> None:
        self._client = client(port, "overload-subscriber")
        self._client.on_connect = lambda c, *_: c.subscribe("hard/+/activity", 1)
        self._client.on_message = self._on_message
        self.seen: list[Label] = []

    def _on_message(self, _client, _data, message: paho.MQTTMessage) -> None:
        payload = json.loads(message.payload)
        age_s = time.time() - payload["end"]
        here_s = payload["latency_s"]["total"]
        self.seen.append(Label(time.monotonic(), payload["device"], age_s, here_s, payload["degraded"]))

    @contextmanager
    def listening(self) -> Iterator[Ages]:
        self._client.loop_start()
        try:
            yield self
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def between(self, begin: float, end: float) -> list[Label]:
        return [label for label in list(self.seen) if begin <= label.at < end]


def overload(folder: Path, seconds: int, seed: int) -> int:
    """Prints what was measured; gives an exit code."""
    broker = Broker(folder)
    broker.start()
    short = ("model.max_age_s=3",) if seconds < SHORT_S else ()  # by default it takes a minute until much is too old
    daemon = Daemon(folder, broker.port, folder / "state", (f"labels.hop_s={HOP_S}", *short), code=SLOWED)
    ages = Ages(broker.port)
    try:
        daemon.start()
        until(daemon.subscribed, 60, "the daemon's first subscription")
        with ages.listening():
            settled_at = min(60, seconds // 3)
            memory, looks = send(broker, daemon, Workload(BUSY, seconds, float(round(time.time())), seed), settled_at)
            busy_end = time.monotonic()
            calm = Workload(CALM, CALM_S, float(round(time.time())), seed)
            send(broker, daemon, calm, 0)
            calm_end = time.monotonic()
            metrics = daemon.metrics()
        code = daemon.end(TERM)
    finally:
        daemon.end(KILL)
        broker.end(KILL)
    busy = ages.between(busy_end - seconds + settled_at, busy_end)
    after = ages.between(busy_end, calm_end)
    unwell = [label.at - busy_end for label in after if label.degraded or label.age_s > FRESH_S]
    recovery_s = max(unwell, default=0.0) if after else CALM_S
    return report(busy, recovery_s, memory, looks + unbalanced(metrics), metrics=metrics, code=code)


def send(broker: Broker, daemon: Daemon, plan: Workload, settled_at: int) -> tuple[list[int], list[str]]:
    """Sends the plan; gives the daemon's memory from `settled_at` on, and what didn't balance."""
    memory, looks = [], []
    with Publisher(broker.port, plan) as publisher:
        begun = time.monotonic()
        for second in range(plan.seconds):
            time.sleep(max(0.0, begun + second + 1 - time.monotonic()))  # a second's samples exist at its end
            publisher.send(second)
            if second >= settled_at:
                memory.append(daemon.memory_bytes())
            if second % 5 == 0 and (metrics := daemon.metrics()):
                looks += unbalanced(metrics)
        until(lambda: len(publisher.acknowledged) == plan.devices * plan.seconds, 60, "the last messages")
    return memory, looks


def youngest(busy: Sequence[Label]) -> list[Label]:
    """The freshest label of each device in each second."""
    found: dict[tuple[str, int], Label] = {}
    for label in busy:
        key = (label.device, int(label.at))
        found[key] = min(label, found.get(key, label), key=lambda one: one.age_s)
    return list(found.values())


def report(busy, recovery_s, memory, looks, *, metrics, code) -> int:
    freshest = youngest(busy)
    age_s, p95, worst = quantiles([label.age_s for label in freshest])
    here = quantiles([label.here_s for label in freshest])
    shed = {name.split('"')[1]: int(value) for name, value in metrics.items() if name.startswith("hard_windows_total{")}
    print(f"capacity {CAPACITY} windows/s, load {BUSY / HOP_S:.0f}/s: the freshest label of a device in a second is")
    print(f"  {age_s:.2f} s old (median), {p95:.2f} s (95 %), at most {worst:.2f} s;")
    print("  of it since receipt {:.2f} s, {:.2f} s, {:.2f} s".format(*here))
    print(f"  {sum(label.degraded for label in busy) / len(busy):.0%} degraded; windows: {shed}")
    print(f"memory: {memory[0] / 1e6:.0f} MB once settled, at most {max(memory) / 1e6:.0f} MB")
    print(f"normal again {recovery_s:.1f} s after the load's end")
    problems = [
        (p95 > FRESH_S, "labels are too old"), (max(memory) > MOST_GROWTH * memory[0], "memory grows"),
        (recovery_s > RECOVERED_WITHIN_S, "no recovery"), (bool(looks), f"counters: {looks[:3]}"),
        (not any(label.degraded for label in busy), "nothing was degraded: that was no overload"),
        (bool(code), f"exit code {code}"),
    ]  # fmt: skip
    for failed, problem in problems:
        if failed:
            print(f"FAILED: {problem}")
    return int(any(failed for failed, _ in problems))


def quantiles(values: list[float]) -> tuple[float, float, float]:
    """Median, 95 %, greatest."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))], ordered[-1]
