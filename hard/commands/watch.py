"""`hard watch`: shows the labels on a broker, one row for each device."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from dataclasses import dataclass

from rich.table import Table

from hard.commands.connection import address_of, settings_of
from hard.commands.live import ShownLabel, cell, columns, next_message, printable, read_label, read_state, screen
from hard.errors import UsageError
from hard.mqtt.simple_client import SimpleClient

MAX_DEVICES = 1000  # beyond, the device that sent longest ago is dropped


@dataclass(slots=True)
class Row:
    label: ShownLabel
    heard_at: float


class Board:
    """The newest label of each device, and the time since which its state holds."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.since: dict[str, float] = {}

    def label(self, label: ShownLabel) -> None:
        self.rows.pop(label.device, None)
        self.rows[label.device] = Row(label, time.monotonic())
        if len(self.rows) > MAX_DEVICES:
            gone = next(iter(self.rows))
            del self.rows[gone]
            self.since.pop(gone, None)

    def state(self, device: str, since: float | None) -> None:
        self.since.pop(device, None)
        if since is not None and len(self.since) < 2 * MAX_DEVICES:
            self.since[device] = since

    def clock(self, device: str) -> str:
        """The local time since which the state holds, by the device's own clock; a dash where it is not known."""
        try:
            return time.strftime("%H:%M:%S", time.localtime(self.since[device]))
        except (KeyError, OverflowError, ValueError, OSError):  # a time that the platform can't represent
            return "–"

    def table(self) -> Table:
        names = ("device", "label", "confidence", "since", "latency", "age")
        table = columns("HARD labels", names, right=names[2:])
        now = time.monotonic()
        for device, row in sorted(self.rows.items()):
            label = row.label
            table.add_row(
                cell(device),
                cell(label.label),
                f"{label.confidence:.2f}",
                self.clock(device),
                f"{label.latency_s.total * 1000:.1f} ms",
                f"{now - row.heard_at:.0f} s",
                style="" if label.accepted else "dim",
            )
        return table


def main(args: argparse.Namespace) -> int:
    """Shows labels until the time is over or Ctrl-C."""
    settings = settings_of(args)
    prefix = (args.prefix or (settings.publish.prefix if settings else "hard")).rstrip("/")
    if not prefix or set(prefix) & set("+#\0"):
        raise UsageError("--prefix is a topic without wildcards")
    board = Board()
    until = time.monotonic() + args.seconds if args.seconds else float("inf")
    topics = (f"{prefix}/+/activity", f"{prefix}/+/state")
    with (
        SimpleClient(address_of(args), topics) as client,
        contextlib.suppress(KeyboardInterrupt),
        screen(board.table) as shown,
    ):
        while time.monotonic() < until:
            message = next_message(client)
            if message is not None:
                topic, payload = message
                if topic.endswith("/state"):
                    state = read_state(payload)
                    board.state(topic.split("/")[-2], state.since if state else None)
                elif label := read_label(payload):
                    board.label(label)
                    shown.line(as_line(label, board.clock(label.device)))
            shown.draw()
    if not board.rows:
        print(f"hard: no label on {topics[0]}; `hard doctor` says what devices send", file=sys.stderr)
    return 0


def as_line(label: ShownLabel, since: str) -> str:
    why = f": {printable(', '.join(label.problems))}" if label.problems else ""
    sure = "" if label.accepted else f"  (not accepted{why})"
    return (
        f"{printable(label.device):<12} {printable(label.label):<12} {label.confidence:.2f}  since {since}"
        f"  {label.latency_s.total * 1000:.1f} ms{sure}"
    )
