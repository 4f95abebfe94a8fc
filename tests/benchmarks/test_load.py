"""The load is what it says: packets, messages that HARD reads, windows foretold, and the search for the greatest N."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.decoder import decoder as make_decoder

pytest.importorskip("psutil", reason="psutil is not installed (extra bench)")
from benchmarks import endtoend, pipeline, wire
from benchmarks.endtoend import Trial
from benchmarks.generator import Motions, Order

from hard.model import bundle
from hard.recordings.default_rules import bundle_devices
from hard.records import Message

REPOSITORY = Path(__file__).resolve().parents[2]


def test_packets_are_found_however_the_bytes_are_cut() -> None:
    long = b"x" * 300  # its length takes two bytes
    sent = wire.publication(wire.text("hard/a/activity"), 7, long) + wire.packet(wire.PUBACK, b"\x00\x05")
    sent += wire.publication(wire.text("b"), 8, b"")
    for size in (1, 2, 5, 1000):
        stream = wire.Stream()
        found = [
            (topic, bytes(payload))
            for i in range(0, len(sent), size)
            for topic, payload in stream.packets(sent[i : i + size])
        ]
        assert found == [(b"hard/a/activity", long), (b"", b""), (b"b", b"")]
        assert stream.acknowledgements == b"\x40\x02\x00\x07\x40\x02\x00\x08"


@pytest.mark.parametrize(
    ("order", "turns"),
    [({}, 7), ({"samples": 1}, 45), ({"samples": 40}, 3), ({"format": "csv"}, 7), ({"hop_s": 4.0}, 12)],
)
def test_the_windows_are_as_many_as_foretold(order: dict[str, Any], turns: int) -> None:
    motions = Motions(Order(port=0, devices=2, messages_s=1, seconds=1, **order))
    made = bundle.read()
    decoder = make_decoder(format=order.get("format", "json"))
    devices = bundle_devices(made, order.get("hop_s"))
    closed = 0
    for turn in range(-1, turns):
        payload = motions.first(1) if turn < 0 else motions.next(1, turn)
        windows, delta = devices.push(decoder.decode(Message("sensors/d1/accel", payload, 0.0, 0.0)))
        assert delta.accepted == delta.decoded > 0
        closed += len(windows)
        assert closed == motions.windows(turn + 1)
    assert closed > 0


@pytest.mark.parametrize("bears", [3, 700, 1000, 2600, 9000])
def test_the_greatest_load_is_found(bears: int) -> None:
    def run(devices: int) -> Trial:
        held = devices <= bears
        return Trial(devices, 1.0, 10, 10 if held else 9, 0.1, 0.1, 0.1, 0, 0, 0, 0, 0, 0, 0, 0)

    best, tried = endtoend.greatest(run, 1000, finest=0.2)
    assert best is not None
    assert best.devices <= bears <= best.devices * 1.25 + 1
    assert len(tried) < 30


def test_every_stage_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """That each runs; how long it takes is asserted nowhere."""
    monkeypatch.setattr(pipeline, "LEAST_S", 0.0)
    spent = pipeline.stages(bundle.find(), 4)
    assert set(spent) == {"decode", "window", "features", "tokens", "prompt text", "scorer", "label"}


@pytest.mark.slow
def test_the_command_measures_and_writes(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed (extra bench)")
    command = [sys.executable, str(REPOSITORY / "scripts" / "benchmark.py"), "--quick", "--parts", "startup"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False, timeout=500, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads((tmp_path / "benchmark.json").read_text())
    assert record["startup"]["ready_s"] > 0
    assert "### Start-up" in (tmp_path / "benchmark.md").read_text()
    assert (tmp_path / "benchmark.png").stat().st_size > 1000
