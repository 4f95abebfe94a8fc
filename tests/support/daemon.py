"""The daemon as a process: starts it, reads its log, labels and metrics, sends it samples, and ends it."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hard.commands.processes import DaemonProcess
from support.listener import Listener, eventually

ROOT = Path(__file__).resolve().parents[2]
FIELDS = {
    *(
        "device",
        "label",
        "confidence",
        "familiar",
        "accepted",
        "parent",
        "probabilities",
        "start",
        "end",
        "window_id",
        "place",
        "model",
        "latency_s",
    ),
    *("coverage", "calibrated", "up", "clock_offset_s", "degraded", "replayed", "worn", "problems"),
}


class Running(DaemonProcess):
    """A daemon process on a test's broker."""

    @property
    def lines(self) -> list[str]:
        """The complete lines of its log."""
        return [line for line in self.log.splitlines(keepends=True) if line.endswith("\n")]

    def ready(self, *, broker: bool = True) -> Running:
        """Waits until it is ready, and where there is a `broker` until it is subscribed."""
        self.wait_ready(120)
        if broker and "no broker yet" in self.log:  # slow to answer
            eventually(lambda: self.metrics()["hard_broker_subscribed"] == 1)
        return self

    @property
    def metrics_address(self) -> str:
        """Host and port."""
        return self.metrics_url.removeprefix("http://").removesuffix("/metrics")

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ends the process with the signal `how`, if it still runs; gives its exit code."""
        return self.end(how, 60)


# What these tests send looks like no wearer whom the shipped bundle knows.
ACCEPT_ALL = "labels.min_confidence=0", "labels.min_familiar=0"


@contextmanager
def daemon(port: int, *overrides: str, code: str = "", **environment: str) -> Iterator[Running]:
    """A daemon that is killed at the end, if it still runs; `code` is run first, to inject a fault."""
    settings = (f"mqtt.port={port}", "mqtt.host=127.0.0.1", "metrics.port=0", "mqtt.reconnect_max_s=0.3", *overrides)
    with tempfile.TemporaryDirectory() as folder:
        running = Running(Path(folder) / "daemon.log", settings, code=code, environment=environment, cwd=ROOT)
        running.start()
        try:
            yield running
        finally:
            running.stop(signal.SIGKILL)


def replacing(target: str, expression: str) -> str:
    """Code that replaces `target`, such as `hard.mqtt.acks.Acks.received`, by the value of `expression`. It fails where
    there is no such name."""
    return f"import threading, time, unittest.mock\nunittest.mock.patch({target!r}, {expression}).start()\n"


def batch(t0: float, rate: float = 20.0, seconds: float = 1.0, seed: int = 0) -> bytes:
    """A payload with a second of a plausible stride: 1.8 Hz on top of gravity."""
    t = t0 + np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.3, (len(t), 3))
    xyz = np.stack([np.sin(11 * t), 9.8 + 4 * np.sin(11.3 * t), np.cos(11 * t)], axis=1) + noise
    return json.dumps({"t0": t0, "rate": rate, "xyz": xyz.round(3).tolist()}).encode()


def labels(listener: Listener, device: str) -> list[dict[str, Any]]:
    return [json.loads(payload) for topic, payload in listener.all if topic == f"hard/{device}/activity"]


def discrepancies(running: Running) -> dict[str, float]:
    """For each balance of the counters, what is unaccounted for."""
    m = running.metrics()

    def total(family: str) -> float:
        return sum(value for name, value in m.items() if name.startswith(f"{family}_total{{"))

    came_in = {
        "messages": m["hard_messages_received_total"] + m["hard_messages_replayed_total"],
        "samples": m["hard_samples_decoded_total"] + m["hard_samples_restored_total"],
        "windows": m["hard_windows_closed_total"] + m["hard_windows_restored_total"],
    }
    on_the_way = {
        "messages": m["hard_messages_queued"],
        "samples": m["hard_samples_held"],
        "windows": m["hard_windows_in_flight"],
    }
    accepted = m['hard_samples_total{outcome="accepted"}']
    return {
        **{name: n - total(f"hard_{name}") - on_the_way[name] for name, n in came_in.items()},
        "accepted": accepted - total("hard_accepted_samples") - m["hard_samples_buffered"],
    }
