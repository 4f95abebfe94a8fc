"""The real assembler with real devices, journal and window queue; the decoder and the broker are small fakes."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from hard.journal.gateway_clock import GatewayClock
from hard.journal.journal import SAVE_EVERY_S, Compatibility, Journal
from hard.journal.store import Store
from hard.monitoring.accounting import Accounting
from hard.monitoring.metrics import Metrics
from hard.motion.diagnosis import Diagnoses
from hard.motion.looks import LookRules
from hard.motion.mounting import Frame
from hard.mqtt.outbox import Outgoing
from hard.outputs.diagnosis import DiagnosisPublisher
from hard.pipeline.assembler import Assembler, Messages
from hard.pipeline.window_queue import QueueBounds, WindowQueue
from hard.pipeline.workers import FairLock, Progress
from hard.records import DeviceEvent, Message, Samples, StateMemory, Window
from support.motion import make_devices, make_grid

GRID = make_grid(4.0, 20.0)
DEFAULT_FRAME = Frame(np.array([0, 1, 0], np.float32), np.array([0, 0, 1], np.float32), calibrated=False)
COMPATIBILITY = Compatibility({"length_s": 4.0}, {"unit": "g"})
START = 1_700_000_000.0
packet_ids = count(1)


def message(device: str, second: float, *, timed: bool = True) -> Message:
    """A message of QoS 1 with one second of steps. The payload only says which second."""
    at = float(second + 0.1 * np.sin(7 * second))  # arrival jitter
    return Message(device, json.dumps([second, timed]).encode(), at, START + at, mid=next(packet_ids), qos=1)


def samples(message: Message) -> Samples:
    second, timed = json.loads(message.payload)
    t = second + np.arange(20) / 20
    xyz = np.stack([np.sin(11 * t), 9.8 + 4 * np.sin(11.3 * t), np.cos(11.3 * t)], axis=1)
    time = START + t if timed else None
    return Samples(message.topic, time, xyz, message.received_at, message.received_wall, 20.0)


class FakeDecoder:
    def decode(self, message: Message) -> Samples:
        return samples(message)


class FakePublisher:
    """Remembers the events of devices, and the memories of an earlier process."""

    def __init__(self) -> None:
        self.events: list[DeviceEvent] = []
        self.memories: dict[str, StateMemory] = {}
        self.ended: list[str] = []

    def restore(self, memories: Mapping[str, StateMemory]) -> None:
        self.memories.update(memories)

    def end_states(self, devices: Iterable[str]) -> None:
        self.ended += devices

    def device_events(self, events: Iterable[DeviceEvent]) -> None:
        self.events += events


@dataclass
class FakeClock:
    """The clocks of a gateway that was booted at START."""

    now: float = 1000.0
    wall_ahead_s: float = START
    boot: str = "a boot"

    @property
    def gateway(self) -> GatewayClock:
        return GatewayClock(lambda: self.now, lambda: self.now + self.wall_ahead_s, lambda: self.boot)


class Assembly:
    """One life of a process up to the window queue, one step a call: no thread, and no time passes by itself."""

    def __init__(
        self, folder: Path, *, durability: Any = "journal", compatibility: Compatibility = COMPATIBILITY,
        clock: FakeClock | None = None, save_every_s: float = SAVE_EVERY_S, decoder: Any = None, devices: Any = None,
        restore: bool = True, **rules: Any,
    ) -> None:  # fmt: skip
        self.clock = clock or FakeClock()
        self.store = Store(folder / "journal.db", "normal")
        self.journal = Journal(
            self.store, durability, compatibility, clock=self.clock.gateway, save_every_s=save_every_s
        )
        self.devices = make_devices(GRID, DEFAULT_FRAME, **rules) if devices is None else devices
        self.messages: Messages = queue.SimpleQueue()
        self.diagnosis: dict[str, list[str]] = {}  # kinds of problems by device, as published
        self.diagnosis_publisher = DiagnosisPublisher(
            self._diagnosed, self.devices.__contains__, prefix="hard", max_devices=100, topics=[]
        )
        self.accounting, self.publisher, self.progress = Accounting(), FakePublisher(), Progress()
        self.metrics = Metrics(CollectorRegistry(), [])
        self.window_queue = WindowQueue(
            lambda reason, windows: self.shed.append((reason, list(windows))), QueueBounds(30.0, 1000, 50_000)
        )
        self.shed: list[tuple[str, list[Window]]] = []
        self.newest = 0.0  # when the newest message came, monotonic
        self.unacknowledged: list[Message] = []  # what the broker would send again
        self.acknowledged: list[Message] = []
        self.assembler = Assembler(
            self.messages, decoder=decoder or FakeDecoder(), devices=self.devices, journal=self.journal,
            window_queue=self.window_queue, publisher=self.publisher,  # type: ignore[arg-type]
            diagnoses=Diagnoses(LookRules(12.0, shared=False), 100), diagnosis_publisher=self.diagnosis_publisher,
            accounting=self.accounting, metrics=self.metrics, lock=FairLock(), acknowledge=self._acknowledge,
        )  # fmt: skip
        self.windows: list[Window] = []  # all that were queued
        self.unresolved: list[Window] = []
        if restore:
            self.assembler.restore(self.progress)
            self._take_windows()

    @property
    def replayed(self) -> int:
        """Messages that came from the journal."""
        return self.accounting.counters().messages.replayed

    def receive(self, *messages: Message) -> None:
        """The messages come together."""
        self.put(*messages)
        self.run_once()

    def put(self, *messages: Message) -> None:
        for message in messages:
            self.accounting.received()
            self.unacknowledged.append(message)
            self.newest = message.received_at
            self.messages.put(message)

    def run_once(self) -> bool:
        goes_on = self.assembler.run_once(self.progress)
        self._take_windows()
        return goes_on

    def tick(self, now: float | None = None) -> None:
        """The main thread's tick, with which the assembler commits; at the newest message unless `now` is given."""
        self.assembler.tick(self.newest if now is None else now)
        self.run_once()

    def resolve(self, most: int = 9999) -> None:
        """The labels of the oldest windows are published."""
        for window in self.unresolved[:most]:
            self.journal.mark_resolved(window, StateMemory(None, window.start, window.end))
            self.accounting.published()
        del self.unresolved[:most]

    def kill(self) -> list[Message]:
        """As kill -9 does: nothing more is written, and the lock is released. Gives what the broker sends again."""
        self.store.close()
        return [replace(message, dup=True) for message in self.unacknowledged]

    def stop(self) -> None:
        """A clean stop."""
        self.assembler.stop(60)
        while self.run_once():
            pass
        self.assembler.close()

    def _acknowledge(self, message: Message) -> None:
        self.unacknowledged.remove(message)
        self.acknowledged.append(message)

    def _diagnosed(self, outgoing: Outgoing) -> None:
        payload = outgoing.render()
        problems = json.loads(payload)["problems"] if payload else []
        self.diagnosis[outgoing.topic.split("/")[1]] = [problem["kind"] for problem in problems]

    def _take_windows(self) -> None:
        while len(self.window_queue):
            windows = self.window_queue.take(9999)
            self.windows += windows
            self.unresolved += windows


def content(windows: Iterable[Window]) -> dict[str, tuple[Any, ...]]:
    """Each window by its id, with all that the model sees of it."""
    return {
        w.window_id: (
            w.start, w.xyz.tobytes(), w.coverage, w.up.tobytes(), w.forward.tobytes(), w.calibrated, w.clock_offset_s,
            w.before.tobytes(),
        )
        for w in windows
    }  # fmt: skip
