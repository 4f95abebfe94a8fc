"""What commands read of published labels and states, and how they show it."""

from __future__ import annotations

import json

import pytest
from rich.table import Table
from support.mosquitto import Mosquitto
from support.shown_labels import ACTIVITY, shown_label

from hard.commands.live import ShownState, columns, next_message, printable, read_label, read_state, screen
from hard.mqtt.simple_client import SimpleClient


def test_a_label_is_read_with_the_fields_that_are_shown() -> None:
    assert read_label(json.dumps(ACTIVITY).encode()) == shown_label("w-1", "Walking", 1.0, 5.0, 0.0123)
    assert read_state(b'{"label": "Sitting", "since": 3, "more": 1}') == ShownState("Sitting", 3.0)


def test_other_payloads_are_none() -> None:
    assert read_label(b"") is None
    assert read_label(b'{"label": 3}') is None
    assert read_state(b"") is None


def test_control_characters_are_replaced() -> None:
    assert printable("a\x1b[2Jb\n") == "a�[2Jb�"


def test_without_a_terminal_lines_are_printed_and_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    def table() -> Table:
        return columns("title", ("device", "latency"), right=("latency",))

    assert [column.justify for column in table().columns] == ["left", "right"]
    with screen(table) as shown:
        shown.line("a line")
        shown.draw()
    assert capsys.readouterr().out == "a line\n"


def test_the_next_message_is_waited_for_a_moment_only(mosquitto: Mosquitto) -> None:
    with SimpleClient(mosquitto.address, ("there",)) as client:
        assert next_message(client) is None
        client.publish("there", b"1")
        client.wait_acknowledged()
        assert client.received.get(timeout=60) == ("there", b"1")
