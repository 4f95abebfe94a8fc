"""Devices → broker → daemon → labels, each in its own process: how many devices it holds, and what a window costs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from benchmarks import children
from benchmarks.children import Child
from benchmarks.generator import Delivery, Order

P99_S = 0.5
BEHIND_S = 0.5  # a generator that falls back further did not make the load
LONGEST_S = 240.0


@dataclass(frozen=True, slots=True)
class Server:
    """What is measured: `start(folder, port)` gives a context manager around a running child."""

    name: str
    start: Callable[[Path, int], AbstractContextManager[Child]]


@dataclass(frozen=True, slots=True)
class Trial:
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
    def held(self) -> bool:
        """Whether every label came, came in time, and the load was what it should be."""
        return self.labels == self.expected > 0 and self.p99_s < P99_S and self.behind_s < BEHIND_S

    def told(self) -> dict[str, float | bool]:
        return {name: round(value, 4) for name, value in asdict(self).items()} | {"held": self.held}


def hard(*sets: str) -> Server:
    """The daemon under these settings."""
    return Server("hard", lambda folder, port: children.daemon(folder, port, sets))


def script(name: str, *arguments: object) -> Server:
    """A room of this folder that serves."""
    return Server(name, lambda folder, port: children.script(name, folder, port, *arguments))


def trial(server: Server, folder: Path, order: Order) -> Trial:
    """A fresh broker and a fresh server under one load."""
    with ExitStack() as stack:
        port, broker = stack.enter_context(children.mosquitto(folder / "broker"))
        child = stack.enter_context(server.start(folder, port))
        order = msgspec.structs.replace(order, port=port)
        delivery, spent = _generate(order, folder, (child, broker))
        batch = children.mean_batch(child) if server.name == "hard" else 0.0
        each = 1e3 / max(1, delivery.labels)
        return Trial(
            devices=order.devices, messages_s=order.messages_s, expected=delivery.expected, labels=delivery.labels,
            p50_s=delivery.p50_s, p99_s=delivery.p99_s, own_p99_s=delivery.own_p99_s, behind_s=delivery.behind_s,
            message_ms=spent[0] * 1e3 / delivery.sent,
            server_ms=spent[0] * each, broker_ms=spent[1] * each, generator_ms=delivery.cpu_s * each,
            rss_mb=child.rss_mb(), ready_s=child.ready_s, batch=batch,
        )  # fmt: skip


def greatest(run: Callable[[int], Trial], begin: int, *, finest: float = 0.13) -> tuple[Trial | None, list[Trial]]:
    """The greatest number of devices that is held, and all trials: doubling, then halving the interval."""
    trials: list[Trial] = []
    held, failed, devices = 0, 0, begin
    while devices not in (held, failed):
        trials.append(run(devices))
        # A machine that does other things may fail a load once that it bears.
        if not trials[-1].held and devices <= 1.3 * held:
            trials.append(run(devices))
        held, failed = (devices, failed) if trials[-1].held else (held, devices)
        if held and failed and failed <= held * (1 + finest):
            break
        devices = (held + failed) // 2 if failed else devices * 2
    best = [t for t in trials if t.held]
    return (max(best, key=lambda t: t.devices) if best else None), trials


def _generate(order: Order, folder: Path, watched: Sequence[Child]) -> tuple[Delivery, list[float]]:
    """Runs the generator; gives what was delivered and the CPU s that each watched process spent meanwhile."""
    text = msgspec.json.encode(order).decode()
    with children.running([sys.executable, "-m", "benchmarks.generator", text], folder / "load.log") as load:
        children.wait_for("measuring", load)
        before = [child.cpu_s() for child in watched]
        load.process.wait(LONGEST_S)
        spent = [child.cpu_s() - was for child, was in zip(watched, before, strict=True)]
        last = load.log.read_text().strip().rpartition("\n")[2]
        return msgspec.json.decode(last, type=Delivery), spent
