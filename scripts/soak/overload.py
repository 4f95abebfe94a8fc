"""Twice as many windows as the model can label: are the newest served, does memory stay flat, does it recover?

The model is slowed down to CAPACITY windows a second, so that the load is known on any machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Any, NamedTuple, Self

import paho.mqtt.client as paho

from hard.commands.processes import MosquittoProcess, wait_until
from soak.daemon import SoakDaemon, discrepancies
from soak.workload import Workload, WorkloadPublisher, persistent_client

CAPACITY = 400  # windows/s
HOP_S = 0.2
BUSY, CALM = 160, 20  # devices; each closes 1 / HOP_S windows a second
FRESH_S = 2.0
MAX_RECOVERY_S = 10.0
CALM_S = 20
MAX_GROWTH = 1.2
SHORT_S = 300
END_S = 30.0
SLOWED = f"""
import time
from hard.model.classifier import Classifier
original = Classifier.classify
def classify(self, windows, *others):
    begun = time.monotonic()
    predictions = original(self, windows, *others)
    time.sleep(max(0.0, begun + len(windows) / {CAPACITY} - time.monotonic()))
    return predictions
Classifier.classify = classify
"""


class AgedLabel(NamedTuple):
    """A label as it came: `age_s` from its window's end, `since_receipt_s` of it in the daemon."""

    at: float  # monotonic
    device: str
    age_s: float
    since_receipt_s: float
    degraded: bool


class LabelAges:
    """How old each label is when it comes, by the wall clock: a window's end is the time at which it was sent."""

    def __init__(self, port: int) -> None:
        self._client = persistent_client(port, "overload-subscriber")
        self._client.on_connect = lambda client, *_: client.subscribe("hard/+/activity", 1)
        self._client.on_message = self._on_message
        self._labels: list[AgedLabel] = []

    @contextmanager
    def listening(self) -> Iterator[Self]:
        self._client.loop_start()
        try:
            yield self
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def between(self, begin: float, end: float) -> list[AgedLabel]:
        return [label for label in list(self._labels) if begin <= label.at < end]

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        payload = json.loads(message.payload)
        age_s, since_receipt_s = time.time() - payload["end"], payload["latency_s"]["total"]
        label = AgedLabel(time.monotonic(), payload["device"], age_s, since_receipt_s, payload["degraded"])
        self._labels.append(label)


def overload(folder: Path, seconds: int, seed: int) -> int:
    """Prints what was measured; gives an exit code."""
    short = ("model.max_age_s=3",) if seconds < SHORT_S else ()  # by default it takes a minute until much is too old
    settings = (f"labels.hop_s={HOP_S}", *short)
    with (
        MosquittoProcess(folder) as broker,
        SoakDaemon(folder, broker.port, folder / "state", settings, code=SLOWED) as daemon,
    ):
        ages = LabelAges(broker.port)
        wait_until(daemon.subscribed, "the daemon did not subscribe", 60)
        with ages.listening():
            steady_s = min(60, seconds // 3)
            busy = Workload(BUSY, seconds, float(round(time.time())), seed)
            memory, problems = _send(broker, daemon, busy, steady_s)
            busy_end = time.monotonic()
            _send(broker, daemon, Workload(CALM, CALM_S, float(round(time.time())), seed), 0)
            calm_end = time.monotonic()
            metrics = daemon.metrics()
        code = daemon.end(SIGTERM, END_S)
    after = ages.between(busy_end, calm_end)
    bad = [label.at - busy_end for label in after if label.degraded or label.age_s > FRESH_S]
    recovery_s = max(bad, default=0.0) if after else CALM_S
    labels = ages.between(busy_end - seconds + steady_s, busy_end)
    return report(labels, recovery_s, memory, problems + discrepancies(metrics), metrics=metrics, code=code)


def newest(labels: Sequence[AgedLabel]) -> list[AgedLabel]:
    """The newest label of each device in each second."""
    found: dict[tuple[str, int], AgedLabel] = {}
    for label in labels:
        key = (label.device, int(label.at))
        found[key] = min(label, found.get(key, label), key=lambda one: one.age_s)
    return list(found.values())


def report(
    labels: Sequence[AgedLabel], recovery_s: float, memory: Sequence[int], problems: Sequence[str], *,
    metrics: Mapping[str, float], code: int,
) -> int:  # fmt: skip
    """Prints figures and what failed; gives an exit code. `problems` are counters that didn't add up, `code` is the
    daemon's exit code."""
    fresh = newest(labels)
    age_s, p95_s, greatest_s = quantiles([label.age_s for label in fresh])
    since_receipt = quantiles([label.since_receipt_s for label in fresh])
    windows = {
        name.split('"')[1]: int(value) for name, value in metrics.items() if name.startswith("hard_windows_total{")
    }
    print(f"capacity {CAPACITY} windows/s, load {BUSY / HOP_S:.0f}/s: the newest label of a device in a second is")
    print(f"  {age_s:.2f} s old (median), {p95_s:.2f} s (95 %), at most {greatest_s:.2f} s;")
    print("  of it since receipt {:.2f} s, {:.2f} s, {:.2f} s".format(*since_receipt))
    print(f"  {sum(label.degraded for label in labels) / len(labels):.0%} degraded; windows: {windows}")
    print(f"memory: {memory[0] / 1e6:.0f} MB once steady, at most {max(memory) / 1e6:.0f} MB")
    print(f"normal again {recovery_s:.1f} s after the load's end")
    checks = [
        (p95_s > FRESH_S, "labels are too old"), (max(memory) > MAX_GROWTH * memory[0], "memory grows"),
        (recovery_s > MAX_RECOVERY_S, "no recovery"), (bool(problems), f"counters: {problems[:3]}"),
        (not any(label.degraded for label in labels), "nothing was degraded: that was no overload"),
        (bool(code), f"exit code {code}"),
    ]  # fmt: skip
    for failed, problem in checks:
        if failed:
            print(f"FAILED: {problem}")
    return int(any(failed for failed, _ in checks))


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95 %, greatest."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))], ordered[-1]


def _send(
    broker: MosquittoProcess, daemon: SoakDaemon, workload: Workload, steady_s: int
) -> tuple[list[int], list[str]]:
    """Sends the workload. Gives the daemon's memory each second from `steady_s` on, and what didn't add up."""
    memory, problems = [], []
    with WorkloadPublisher(broker.port, workload) as publisher:
        begun = time.monotonic()
        for second in range(workload.seconds):
            time.sleep(max(0.0, begun + second + 1 - time.monotonic()))  # a second's samples exist at its end
            publisher.send(second)
            if second >= steady_s:
                memory.append(daemon.memory_bytes())
            if second % 5 == 0 and (metrics := daemon.metrics()):
                problems += discrepancies(metrics)
        sent = workload.devices * workload.seconds
        wait_until(lambda: len(publisher.acknowledged) == sent, "the broker did not acknowledge everything", 60)
    return memory, problems
