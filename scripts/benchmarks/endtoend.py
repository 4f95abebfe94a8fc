"""Devices → broker → daemon → labels, each a process: how many devices the daemon serves, and what a label costs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from benchmarks.generator import Delivery, Order
from hard.commands.processes import LOOPBACK, DaemonProcess, MosquittoProcess, Process, wait_until
from hard.errors import CommandError

SCRIPTS = Path(__file__).resolve().parents[1]
MAX_P99_S = 0.5
MAX_BEHIND_S = 0.5  # a generator that falls back further did not make the load
MAX_GENERATOR_S = 240.0


@dataclass(frozen=True, slots=True)
class Server:
    """What is measured: `process(folder, port)` is the process that serves the broker at `port`, not yet started."""

    name: str
    process: Callable[[Path, int], Process]


@dataclass(frozen=True, slots=True)
class LoadTrial:
    """One load on one server. CPU in ms a label, `message_ms` a message; `batch` is the mean number of windows that
    HARD labelled at once."""

    devices: int
    messages_s: float
    expected: int
    labels: int
    p50_s: float
    p99_s: float
    own_p99_s: float
    behind_s: float
    message_ms: float
    server_ms: float
    broker_ms: float
    generator_ms: float
    rss_mb: float
    ready_s: float
    batch: float

    @property
    def complete(self) -> bool:
        """Whether the load was what it should be and every label came."""
        return self.labels == self.expected > 0 and self.behind_s < MAX_BEHIND_S

    @property
    def in_time(self) -> bool:
        """Whether it is complete and the labels came in time."""
        return self.complete and self.p99_s < MAX_P99_S

    def summary(self) -> dict[str, float | bool]:
        return {name: round(value, 4) for name, value in asdict(self).items()} | {"in_time": self.in_time}


def python_environment(*path: Path) -> dict[str, str]:
    """For a Python process that imports from `path` first and uses one thread for numerics."""
    return {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}


def hard(*settings: str, checkout: Path = SCRIPTS.parent) -> Server:
    """The daemon of a checkout under these settings."""

    def process(folder: Path, port: int) -> Process:
        own = (f"mqtt.host={LOOPBACK}", f"mqtt.port={port}", "metrics.port=0", f"state.dir={folder / 'state'}")
        environment = python_environment(checkout)
        # Elsewhere `python -m hard` would find the `hard` of the working directory before the checkout's.
        return DaemonProcess(folder / "daemon.log", (*own, *settings), environment=environment, cwd=Path("/"))

    return Server("hard", process)


def script(name: str, *arguments: object) -> Server:
    """A module of this package that serves; it prints `ready`."""
    return Server(name, lambda folder, port: _module(name, folder, port, *arguments))


def trial(server: Server, folder: Path, order: Order) -> LoadTrial:
    """A fresh broker and a fresh server under one load. Raises HardError where one of them does not start."""
    with ExitStack() as stack:
        broker = stack.enter_context(MosquittoProcess(folder / "broker"))
        process = stack.enter_context(server.process(folder, broker.port))
        ready_s = process.wait_for_log("ready")
        order = msgspec.structs.replace(order, port=broker.port)
        delivery, (server_s, broker_s) = _generate(order, folder, (process, broker))
        batch = _mean_batch(process) if isinstance(process, DaemonProcess) else 0.0
        each = 1e3 / max(1, delivery.labels)
        return LoadTrial(
            devices=order.devices, messages_s=order.messages_s, expected=delivery.expected, labels=delivery.labels,
            p50_s=delivery.p50_s, p99_s=delivery.p99_s, own_p99_s=delivery.own_p99_s, behind_s=delivery.behind_s,
            message_ms=server_s * 1e3 / delivery.sent,
            server_ms=server_s * each, broker_ms=broker_s * each, generator_ms=delivery.cpu_s * each,
            rss_mb=process.memory_bytes() / 1e6, ready_s=ready_s, batch=batch,
        )  # fmt: skip


def greatest(
    run: Callable[[int], LoadTrial], begin: int, *, finest: float = 0.13
) -> tuple[LoadTrial | None, list[LoadTrial]]:
    """The trial with the most devices whose labels came in time, and all trials. Doubles the number of devices until
    they don't, then halves the interval."""
    trials: list[LoadTrial] = []
    passed, failed, devices = 0, 0, begin
    while devices not in (passed, failed):
        trials.append(run(devices))
        # Other work on the machine may make one trial fail: near the last that passed, it is tried once more.
        if not trials[-1].in_time and devices <= 1.3 * passed:
            trials.append(run(devices))
        passed, failed = (devices, failed) if trials[-1].in_time else (passed, devices)
        if passed and failed and failed <= passed * (1 + finest):
            break
        devices = (passed + failed) // 2 if failed else devices * 2
    best = [t for t in trials if t.in_time]
    return (max(best, key=lambda t: t.devices) if best else None), trials


def _generate(order: Order, folder: Path, watched: Sequence[Process]) -> tuple[Delivery, list[float]]:
    """Runs the generator; gives what was delivered and the CPU s that each watched process spent meanwhile."""
    with _module("generator", folder, msgspec.json.encode(order).decode()) as generator:
        generator.wait_for_log("measuring")
        before = [process.cpu_s() for process in watched]
        wait_until(lambda: not generator.running, "the generator did not end", MAX_GENERATOR_S)
        spent = [process.cpu_s() - earlier for process, earlier in zip(watched, before, strict=True)]
        last = generator.log.strip().rpartition("\n")[2]
        if generator.end():
            raise CommandError(f"the load generator failed: {last}")
        return msgspec.json.decode(last, type=Delivery), spent


def _module(name: str, folder: Path, *arguments: object) -> Process:
    """A module of this package, from this checkout."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]
    environment = python_environment(SCRIPTS, SCRIPTS.parent)
    return Process(name, command, folder / f"{name}.log", environment=environment, cwd=Path("/"))


def _mean_batch(daemon: DaemonProcess) -> float:
    """How many windows it labelled at once, from its metrics."""
    metrics = daemon.metrics()
    return metrics["hard_batch_windows_sum"] / max(metrics["hard_batch_windows_count"], 1)
