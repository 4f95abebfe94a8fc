"""`hard simulate` and `hard watch` against a real broker."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.listener import eventually
from support.mosquitto import Mosquitto

from hard import cli
from hard.commands.live import ShownLabel, ShownLatency, read_label, read_state
from hard.commands.watch import MAX_DEVICES, Board, as_line
from hard.mqtt.simple_client import SimpleClient

ROOT = Path(__file__).resolve().parents[2]
ACTIVITY = {
    "device": "w-1", "label": "Walking", "confidence": 0.9, "accepted": True, "start": 1.0, "end": 5.0,
    "window_id": "w-1:5000", "latency_s": {"queue": 0.001, "infer": 0.001, "total": 0.0123}, "model": "m",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("rate", [20.0, 50.0])
def test_a_message_a_second_a_device_spread_over_the_second(
    mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str], rate: float
) -> None:
    arguments = ["--devices", "4", "--seconds", "3", "--rate", str(rate), "--one-activity", "Sitting"]
    with SimpleClient(mosquitto.address, ("there/+/raw",)) as listener:
        assert cli.main(["simulate", *arguments, "--broker", mosquitto.url, "--topic", "there/{device}/raw"]) == 0
        messages = [listener.received.get(timeout=60) for _ in range(12)]
    assert [topic for topic, _ in messages] == [f"there/sim-{i}/raw" for i in (1, 2, 3, 4)] * 3
    payloads = [json.loads(payload) for _, payload in messages]
    assert {len(payload["xyz"]) for payload in payloads} == {rate}
    np.testing.assert_allclose(np.diff([payload["t0"] for payload in payloads]), 0.25, atol=1e-5)
    summary = capsys.readouterr().err
    assert f"12 messages, {12 * rate:.0f} samples published; 12 messages acknowledged" in summary


def test_refuses_an_activity_that_it_cannot_do(mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", "--one-activity", "Flying", "--broker", mosquitto.url]) == 2
    assert "can't simulate Flying; known are" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_ends_it_with_its_counts(mosquitto: Mosquitto) -> None:
    with SimpleClient(mosquitto.address, ("sensors/#",)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "hard", "simulate", "--broker", mosquitto.url],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        listener.received.get(timeout=120)  # it is at work
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.fullmatch(r"hard: 1 wearer: \d+ messages, .*\n", err)


def test_watch_prints_a_line_a_label(mosquitto: Mosquitto) -> None:
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


def test_watch_says_when_nothing_came(mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["watch", "--broker", mosquitto.url, "--prefix", "elsewhere", "--seconds", "0.5"]) == 0
    assert capsys.readouterr().err == "hard: no label on elsewhere/+/activity\n"


def test_the_board_is_bounded_and_draws() -> None:
    board = Board()
    for i in range(MAX_DEVICES + 5):
        board.state(f"d{i}", 1.0)
        board.label(ShownLabel(f"d{i}", "Walking", 0.5, True, 0, 4, f"d{i}:4000", ShownLatency(0.01)))
    assert len(board.rows) == MAX_DEVICES
    assert "d4" not in board.since
    assert board.table().row_count == MAX_DEVICES
    board.state("d9", None)
    assert board.clock("d9") == "–"


def drawn(board: Board) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(board.table())
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["left[a]", "[red]", "[/x]", ":smile:", "a\\", "[client=x]y"])
def test_names_are_shown_as_they_are(name: str) -> None:
    board = Board()
    board.label(ShownLabel(name, name, 0.5, True, 0, 4, "w", ShownLatency(0.01)))
    assert drawn(board).count(name) == 2


def test_control_characters_of_others_reach_no_terminal() -> None:
    board = Board()
    label = ShownLabel("a\x1b[2Jb\n", "x\x9by", 0.5, True, 0, 4, "w", ShownLatency(0.01))
    board.label(label)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", drawn(board))
    assert as_line(label, "–").startswith("a�[2Jb�")


@pytest.mark.parametrize("since", [1e300, -1e300, 1e18, -1e11])
def test_a_time_that_no_calendar_knows_is_not_shown(since: float) -> None:
    board = Board()
    board.state("a", since)
    assert re.fullmatch(r"–|\d\d:\d\d:\d\d", board.clock("a"))


def test_what_is_no_label_is_none() -> None:
    assert read_label(b"") is None
    assert read_label(b'{"label": 3}') is None
    assert read_state(b"") is None
    assert read_label(json.dumps(ACTIVITY).encode()) is not None
