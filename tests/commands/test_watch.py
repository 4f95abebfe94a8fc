"""`hard watch` against a real broker, and its table."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from support.listener import eventually
from support.mosquitto import Mosquitto
from support.shown_labels import ACTIVITY, shown_label

from hard.commands.watch import MAX_DEVICES, Board, as_line, main
from hard.mqtt.simple_client import SimpleClient

ROOT = Path(__file__).resolve().parents[2]


def test_each_label_is_a_line(mosquitto: Mosquitto) -> None:
    command = [sys.executable, "-m", "hard", "watch", "--broker", mosquitto.url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as watch:
        eventually(lambda: "Sending SUBACK" in mosquitto.log)
        with SimpleClient(mosquitto.address) as client:
            client.publish("hard/w-1/state", json.dumps({"label": "Walking", "since": 1.0, "confidence": 0.9}).encode())
            client.publish("hard/w-1/activity", b"no label")
            client.publish("hard/w-1/activity", json.dumps(ACTIVITY).encode())
            client.publish("hard/w-1/activity", json.dumps(ACTIVITY | {"accepted": False}).encode())
            client.publish("hard/status", b"online")
        assert watch.stdout
        first, second = (watch.stdout.readline().rstrip("\n") for _ in range(2))
        watch.send_signal(signal.SIGINT)
        assert watch.communicate(timeout=60) == ("", None)
    assert watch.returncode == 0
    since = time.strftime("%H:%M:%S", time.localtime(1))
    assert first.split() == ["w-1", "Walking", "0.90", "since", since, "12.3", "ms"]
    assert second.endswith("(not accepted)")


def test_it_says_when_no_label_came(mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Namespace(broker=mosquitto.url, config=None, prefix="elsewhere", seconds=0.5)) == 0
    assert capsys.readouterr().err == "hard: no label on elsewhere/+/activity; `hard doctor` says what devices send\n"


def test_the_board_is_bounded_and_draws() -> None:
    board = Board()
    for i in range(MAX_DEVICES + 5):
        board.state(f"d{i}", 1.0)
        board.label(shown_label(f"d{i}"))
    assert len(board.rows) == MAX_DEVICES
    assert "d4" not in board.since
    assert board.table().row_count == MAX_DEVICES
    board.state("d9", None)
    assert board.clock("d9") == "–"


def drawn(board: Board) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(board.table())
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["left[a]", "[red]", "[/x]", ":smile:", "a\\", "[link=x]y"])
def test_names_are_shown_without_markup(name: str) -> None:
    board = Board()
    board.label(shown_label(name, name))
    assert drawn(board).count(name) == 2


def test_control_characters_do_not_reach_the_terminal() -> None:
    board = Board()
    label = shown_label("a\x1b[2Jb\n", "x\x9by")
    board.label(label)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", drawn(board))
    assert as_line(label, "–").startswith("a�[2Jb�")


@pytest.mark.parametrize("since", [1e300, -1e300, 1e18, -1e11])
def test_a_time_that_the_platform_cannot_represent_is_a_dash(since: float) -> None:
    board = Board()
    board.state("a", since)
    assert re.fullmatch(r"–|\d\d:\d\d:\d\d", board.clock("a"))


def test_a_label_that_is_not_accepted_names_the_problems_of_its_device() -> None:
    label = shown_label("a", "Walking", 0.0, 4.0)
    refused = msgspec.structs.replace(label, accepted=False, problems=("no_gravity", "slow"))
    assert as_line(refused, "12:00:00").endswith("  (not accepted: no_gravity, slow)")
    assert "accepted" not in as_line(label, "12:00:00")
