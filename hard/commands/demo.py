"""`hard demo`: a broker, simulated wearers who change activity, and the daemon, in one terminal.

The wearers live here, so that each label can be held against the truth; the broker and the daemon are processes of
their own. A label counts as right or wrong where its whole window lies in one simulated activity.

On a broker that is there already the demo's daemon is an instance of its own, and hears its own wearers alone: a daemon
and devices there notice nothing. Its labels go where labels go.
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
from hard.commands.live import Label, Screen, cell, columns, next_message, read_label, screen
from hard.commands.processes import DaemonProcess, EmbeddedBroker
from hard.commands.wearers import Wearers
from hard.errors import CommandError
from hard.mqtt.broker_address import parse_address
from hard.mqtt.simple_client import SimpleClient
from hard.simulator import Wearer

FIRST_LABEL_S = 60.0
REMEMBERED = 100_000  # latencies
LABELS = "hard/+/activity"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo plays: the broker, and who the daemon is there. `shared` with others or not."""

    url: str
    instance: str
    shared: bool

    @property
    def sensors(self) -> str:
        """Of these wearers alone, so that no other daemon labels them, nor this one other devices."""
        return f"{self.instance}/{{device}}/accel" if self.shared else SENSOR_TOPIC


class CounterDelta:
    """Labels held against the truth. `newest` has each wearer's newest label and the truth of its window."""

    def __init__(self, wearers: dict[str, Wearer], title: str = "") -> None:
        self._title = title
        self.newest: dict[str, tuple[Label, str | None] | None] = dict.fromkeys(wearers)
        self.labels = self.judged = self.right = 0
        self.first_at: float | None = None
        self._wearers = wearers
        self._latencies: deque[float] = deque(maxlen=REMEMBERED)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def add(self, label: Label) -> bool:
        """False for a label of another's device, and for a window that another daemon on the broker labelled too."""
        wearer = self._wearers.get(label.device)
        if wearer is None or label.window_id in self._seen:
            return False
        self._seen[label.window_id] = None
        if len(self._seen) > 10 * len(self._wearers):
            self._seen.popitem(last=False)
        truth = wearer.during(label.start, label.end)
        self.newest[label.device] = label, truth
        self.first_at = self.first_at or time.monotonic()
        self._latencies.append(label.latency_s.total)
        self.labels += 1
        self.judged += truth is not None
        self.right += label.label == truth
        return True

    def line(self) -> str:
        share = f"{100 * self.right / self.judged:.1f}" if self.judged else "–"
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
    with Orderly() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hard-demo-")))
        parts: list[Part] = []
        url = args.broker
        if url is None:
            broker = stack.enter_context(EmbeddedBroker(folder))
            url = broker.url
            parts.append(broker)
        place = Place(url, f"hard-demo-{secrets.token_hex(4)}", shared=args.broker is not None)
        client = stack.enter_context(SimpleClient(parse_address(place.url), (LABELS,)))
        wearers = Wearers(args.devices, name="demo", seed=args.seed)
        where = f"; labels on hard/demo-1/activity, …-{args.devices}/…" * place.shared
        delta = CounterDelta(wearers.by_name, f"HARD demo: simulated wearers (Ctrl-C ends){where}")
        stack.callback(_forget, client, place, wearers)
        parts.append(stack.enter_context(_daemon(place, folder)))
        parts.append(stack.enter_context(Publishing(client, wearers, place.sensors)))
        shown = stack.enter_context(screen(delta.table))
        shown.line(f"{args.devices} simulated wearers and the daemon on the broker at {client.address}{where}")
        with contextlib.suppress(KeyboardInterrupt):
            watch(client, delta, shown, parts, args.seconds or float("inf"))
    print(delta.line(), flush=True)
    return 0


def watch(client: SimpleClient, delta: CounterDelta, shown: Screen, parts: Sequence[Part], seconds: float) -> None:
    """Shows labels until `seconds` after the first. Raises CommandError where a part dies or no label comes."""
    begin = time.monotonic()
    while delta.first_at is None or time.monotonic() < delta.first_at + seconds:
        message = next_message(client)
        label = read_label(message[1]) if message else None
        if label and delta.add(label):
            newest = delta.newest[label.device]
            shown.line(as_line(label, newest[1] if newest else None))
        shown.draw()
        for part in parts:
            part.check()
        if delta.first_at is None and time.monotonic() > begin + FIRST_LABEL_S:
            raise CommandError(f"no label came in {FIRST_LABEL_S:g} s, though every part of the demo runs")


def as_line(label: Label, truth: str | None) -> str:
    return (
        f"{label.device:<8} true {truth or 'changing':<11} label {label.label:<11} {label.confidence:.2f}"
        f"  {label.latency_s.total * 1000:.1f} ms"
    )


class Part(Protocol):
    """Something without which the demo can't go on."""

    def check(self) -> None:
        """Raises CommandError where it has ended."""
        ...


class Orderly(contextlib.ExitStack):
    """Ends what it holds undisturbed: SIGTERM and SIGHUP are like Ctrl-C, and while things end a second one is ignored,
    for it would leave a child behind. Each step of the end is bounded."""

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


class Publishing:
    """The wearers' own thread, while the block runs."""

    def __init__(self, client: SimpleClient, wearers: Wearers, topic: str) -> None:
        self._client, self._wearers, self._topic = client, wearers, topic
        self._stop = threading.Event()
        self._failure: CommandError | None = None
        self._thread = threading.Thread(target=self._publish, name="wearers")

    def __enter__(self) -> Publishing:
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


def _daemon(place: Place, folder: Path) -> DaemonProcess:
    where = parse_address(place.url)
    settings = {
        "mqtt.host": where.host,
        "mqtt.port": where.port,
        "mqtt.tls": str(where.tls is not None).lower(),
        "mqtt.client_id": place.instance,
        "instance": place.instance,
        "ingest.topics": json.dumps([place.sensors]),
        "metrics.port": 0,
        "state.dir": folder / "state",
    }
    # By environment: every user of the machine can read the command line of a process.
    secret = {"HARD_MQTT__USERNAME": where.username, "HARD_MQTT__PASSWORD": where.password}
    environment = {name: value for name, value in secret.items() if value is not None}
    overrides = [f"{name}={value}" for name, value in settings.items()]
    return DaemonProcess(folder / "daemon.log", overrides, environment=environment)


def _forget(client: SimpleClient, place: Place, wearers: Wearers) -> None:
    """Removes what the daemon left on a broker that lives on: what is retained, and its session."""
    if not place.shared:
        return
    for topic in (f"@{place.instance}/status", f"@{place.instance}/health", *(f"{d}/state" for d in wearers.by_name)):
        client.publish(f"hard/{topic}", b"", retain=True)
    with contextlib.suppress(CommandError), SimpleClient(parse_address(place.url), client_id=place.instance):
        pass  # a clean session takes the place of the daemon's
