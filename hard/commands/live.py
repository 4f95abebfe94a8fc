"""Labels that come from a broker, and a screen that shows them: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hard.mqtt.simple_client import SimpleClient

REDRAW_S = 0.25


class ShownLatency(msgspec.Struct, frozen=True):
    total: float


class ShownLabel(msgspec.Struct, frozen=True):
    """The fields of a label that are shown."""

    device: str
    label: str
    confidence: float
    accepted: bool
    start: float
    end: float
    window_id: str
    latency_s: ShownLatency
    problems: tuple[str, ...] = ()


class ShownState(msgspec.Struct, frozen=True):
    """The fields of a state that are shown."""

    label: str
    since: float


_label, _state = msgspec.json.Decoder(ShownLabel), msgspec.json.Decoder(ShownState)


def read_label(payload: bytes) -> ShownLabel | None:
    """A label; None where the payload is none, since a broker carries all kinds of messages."""
    try:
        return _label.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def read_state(payload: bytes) -> ShownState | None:
    """A state; None where the payload is none, such as the empty one that removes a state."""
    try:
        return _state.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def printable(text: str) -> str:
    """Foreign `text` for a terminal: without control characters."""
    return "".join(character if character.isprintable() else "�" for character in text)


def cell(text: str) -> Text:
    """The same for a table, where rich would read brackets as markup."""
    return Text(printable(text))


class Screen:
    """On a terminal draws `table()` again at most each REDRAW_S; elsewhere prints the lines."""

    def __init__(self, live: Live | None, table: Callable[[], Table]) -> None:
        self._live, self._table, self._drawn = live, table, 0.0

    def line(self, text: str) -> None:
        if self._live is None:
            print(text, flush=True)

    def draw(self) -> None:
        now = time.monotonic()
        if self._live is not None and now - self._drawn >= REDRAW_S:
            self._drawn = now
            self._live.update(self._table(), refresh=True)


@contextmanager
def screen(table: Callable[[], Table]) -> Iterator[Screen]:
    """A screen on standard output; the last table stays when it closes."""
    if not sys.stdout.isatty():
        yield Screen(None, table)
        return
    with Live(table(), console=Console(), auto_refresh=False) as live:
        yield Screen(live, table)
        live.update(table(), refresh=True)


def columns(title: str, names: Sequence[str], right: Sequence[str] = ()) -> Table:
    """An empty table; the columns in `right` hold figures."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=True)
    return table


def next_message(client: SimpleClient) -> tuple[str, bytes] | None:
    """The next message received, or None after REDRAW_S without one."""
    try:
        return client.received.get(timeout=REDRAW_S)
    except queue.Empty:
        return None
