"""`hard demo`: a broker, simulated wearers who change activity, and the daemon, in one terminal.

The wearers run in this process, so that each label can be compared with the truth; the broker and the daemon are
processes of their own. A label counts as right or wrong where its whole window lies in one simulated activity.

With --broker the demo's daemon is an instance of its own that subscribes only to the demo's wearers: another daemon and
other devices on that broker are not affected. Its labels are published on the ordinary topics.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import signal
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from rich.table import Table

from hard.commands.arguments import SENSOR_TOPIC
from hard.commands.connection import address_of, settings_of
from hard.commands.live import Screen, ShownLabel, cell, columns, next_message, read_label, screen
from hard.commands.processes import DaemonProcess, EmbeddedBroker
from hard.commands.wearers import Wearers
from hard.errors import CommandError
from hard.mqtt.broker_address import BrokerAddress
from hard.mqtt.simple_client import SimpleClient
from hard.simulator import Wearer

FIRST_LABEL_S = 60.0
MAX_LATENCIES = 100_000  # of which the percentiles are taken
LABELS = "hard/+/activity"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class DemoBroker:
    """The broker, whether it is `shared` with others, the daemon's instance name there, and its certificates."""

    address: BrokerAddress
    instance: str
    shared: bool
    files: dict[str, str]  # settings of certificates

    @property
    def sensor_topic(self) -> str:
        """A topic of these wearers only: no other daemon labels them, and this one labels no other device."""
        return f"{self.instance}/{{device}}/accel" if self.shared else SENSOR_TOPIC


class DemoResults:
    """Labels compared with the truth. `newest` has each wearer's newest label and the truth of its window."""

    def __init__(self, wearers: dict[str, Wearer], title: str = "") -> None:
        self._title = title
        self.newest: dict[str, tuple[ShownLabel, str | None] | None] = dict.fromkeys(wearers)
        self.labels = self.compared = self.right = 0
        self.first_at: float | None = None
        self._wearers = wearers
        self._latencies: deque[float] = deque(maxlen=MAX_LATENCIES)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def add(self, label: ShownLabel) -> bool:
        """Counts a label. False for one of another device, and for a second label of the same window."""
        wearer = self._wearers.get(label.device)
        if wearer is None or label.window_id in self._seen:
            return False
        self._seen[label.window_id] = None
        if len(self._seen) > 10 * len(self._wearers):
            self._seen.popitem(last=False)
        truth = wearer.activity_during(label.start, label.end)
        self.newest[label.device] = label, truth
        self.first_at = self.first_at or time.monotonic()
        self._latencies.append(label.latency_s.total)
        self.labels += 1
        self.compared += truth is not None
        self.right += label.label == truth
        return True

    def line(self) -> str:
        """The closing line."""
        share = f"{100 * self.right / self.compared:.1f}" if self.compared else "–"
        p50, p99 = np.percentile(self._latencies, (50, 99)) * 1000 if self._latencies else (0.0, 0.0)
        return f"{self.labels} labels, {share} % right, p50 {p50:.1f} ms, p99 {p99:.1f} ms"

    def table(self) -> Table:
        names = ("device", "true activity", "label", "confidence", "latency")
        table = columns(self._title, names, right=names[3:])
        for device, newest in self.newest.items():
            if newest is None:
                table.add_row(device, "…")
                continue
            label, truth = newest
            style = "dim" if truth is None else "green" if truth == label.label else "red"
            row = (
                truth or "changing",
                cell(label.label),
                f"{label.confidence:.2f}",
                f"{label.latency_s.total * 1000:.1f} ms",
            )
            table.add_row(device, *row, style=style)
        table.caption = self.line()
        return table


def main(args: argparse.Namespace) -> int:
    """Runs until the time is over or Ctrl-C, then prints the closing line; every child has ended when it returns."""
    with UninterruptedExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hard-demo-")))
        components: list[Component] = []
        if args.broker is None and args.config is None:
            embedded = stack.enter_context(EmbeddedBroker(folder))
            components.append(embedded)
            address = embedded.address
        else:
            address = address_of(args)
        shared = args.broker is not None or args.config is not None
        broker = DemoBroker(address, f"hard-demo-{secrets.token_hex(4)}", shared, _files_of(args))
        client = stack.enter_context(SimpleClient(address, (LABELS,)))
        wearers = Wearers(args.devices, name="demo", seed=args.seed)
        where = f"; labels on hard/demo-1/activity, …-{args.devices}/…" * broker.shared
        results = DemoResults(wearers.by_name, f"HARD demo: simulated wearers (Ctrl-C ends){where}")
        stack.callback(_clear, client, broker, wearers)
        components.append(stack.enter_context(_daemon(broker, folder)))
        components.append(stack.enter_context(WearersThread(client, wearers, broker.sensor_topic)))
        shown = stack.enter_context(screen(results.table))
        shown.line(f"{args.devices} simulated wearers and the daemon on the broker at {client.address}{where}")
        with contextlib.suppress(KeyboardInterrupt):
            watch(client, results, shown, components, args.seconds or float("inf"))
    print(results.line(), flush=True)
    return 0


def watch(
    client: SimpleClient, results: DemoResults, shown: Screen, components: Sequence[Component], seconds: float
) -> None:
    """Shows labels until `seconds` after the first. Raises CommandError where a component ends or no label comes."""
    begin = time.monotonic()
    while results.first_at is None or time.monotonic() < results.first_at + seconds:
        message = next_message(client)
        label = read_label(message[1]) if message else None
        if label and results.add(label):
            newest = results.newest[label.device]
            shown.line(as_line(label, newest[1] if newest else None))
        shown.draw()
        for component in components:
            component.check()
        if results.first_at is None and time.monotonic() > begin + FIRST_LABEL_S:
            raise CommandError(f"no label came in {FIRST_LABEL_S:g} s, though every part of the demo runs")


def as_line(label: ShownLabel, truth: str | None) -> str:
    return (
        f"{label.device:<8} true {truth or 'changing':<11} label {label.label:<11} {label.confidence:.2f}"
        f"  {label.latency_s.total * 1000:.1f} ms"
    )


class Component(Protocol):
    """A process or thread that the demo needs."""

    def check(self) -> None:
        """Raises CommandError where it has ended."""
        ...


class UninterruptedExitStack(contextlib.ExitStack):
    """SIGTERM and SIGHUP act like Ctrl-C; while the stack closes, further signals are ignored, since one would leave a
    process behind. Each step of the closing has a time limit."""

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, signal.default_int_handler) for number in SIGNALS]
        return super().__enter__()

    def __exit__(self, *reason: Any) -> bool:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        try:
            return bool(super().__exit__(*reason))
        finally:
            for number, handler in zip(SIGNALS, self._before, strict=True):
                signal.signal(number, handler)


class WearersThread:
    """Publishes the wearers' samples in a thread of its own while the block runs."""

    def __init__(self, client: SimpleClient, wearers: Wearers, topic: str) -> None:
        self._client, self._wearers, self._topic = client, wearers, topic
        self._stop = threading.Event()
        self._failure: CommandError | None = None
        self._thread = threading.Thread(target=self._publish, name="wearers")

    def __enter__(self) -> WearersThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raises CommandError where the thread has ended."""
        if not self._thread.is_alive():
            raise self._failure or CommandError("the simulated wearers ended")

    def _publish(self) -> None:
        try:
            self._wearers.publish(self._client, self._topic, self._stop)
        except CommandError as failure:
            self._failure = failure


def _files_of(args: argparse.Namespace) -> dict[str, str]:
    """The settings that name certificates, as `--config` has them."""
    settings = None if args.broker else settings_of(args)
    named = settings.mqtt.model_dump(include={"ca_file", "cert_file", "key_file"}) if settings else {}
    return {f"mqtt.{name}": str(path) for name, path in named.items() if path}


def _daemon(broker: DemoBroker, folder: Path) -> DaemonProcess:
    settings = {
        "mqtt.transport": broker.address.transport,
        "mqtt.host": broker.address.host,
        "mqtt.port": broker.address.port,
        "mqtt.path": broker.address.path,
        "mqtt.tls": str(broker.address.tls is not None).lower(),
        "mqtt.client_id": broker.instance,
        "instance": broker.instance,
        "ingest.topics": json.dumps([broker.sensor_topic]),
        **broker.files,
        "metrics.port": 0,
        "state.dir": folder / "state",
    }
    # By environment: every user of the machine can read the command line of a process.
    secret = {"HARD_MQTT__USERNAME": broker.address.username, "HARD_MQTT__PASSWORD": broker.address.password}
    environment = {name: value for name, value in secret.items() if value is not None}
    overrides = [f"{name}={value}" for name, value in settings.items()]
    return DaemonProcess(folder / "daemon.log", overrides, environment=environment)


def _clear(client: SimpleClient, broker: DemoBroker, wearers: Wearers) -> None:
    """Removes what the daemon left on a shared broker: its retained messages and its session."""
    if not broker.shared:
        return
    for topic in (f"@{broker.instance}/status", f"@{broker.instance}/health", *(f"{d}/state" for d in wearers.by_name)):
        client.publish(f"hard/{topic}", b"", retain=True)
    with contextlib.suppress(CommandError), SimpleClient(broker.address, client_id=broker.instance):
        pass  # a clean session replaces the daemon's
