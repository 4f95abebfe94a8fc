"""The command measures, and writes tables, JSON and a picture."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed (extra bench)")
from benchmarks import backends, picture, report, suite
from rich.console import Console
from support.scripts import script

from hard.settings import load


def record() -> dict[str, Any]:
    """As `Suite.run` makes it, with made-up figures."""
    trial = {
        "devices": 100, "messages_s": 500.0, "expected": 9, "labels": 8, "p99_s": 0.1, "server_ms": 1.0,
        "broker_ms": 0.1, "rss_mb": 100.0, "batch": 2.0, "in_time": True,
    }  # fmt: skip
    found = {"greatest": trial, "tried": [trial]}
    rows = [
        {
            "model": model, "threads": 1, "batch": batch, "backend": name, "times_generate": 2.0, "windows_s": 100.0,
            "cpu_ms": 0.5, "greatest_difference": None if name == backends.NOTEBOOK else 1e-6, "share_of_peak": 0.5,
        }
        for model in ("small", "flan")
        for name in backends.ALL
        for batch in ((1,) if name == backends.NOTEBOOK else (1, 32))
    ]  # fmt: skip
    return {
        "date": "2026-01-01", "quick": True, "minutes": 1.0,
        "machine": {"processor": "any", "cores": 2, "memory_gb": 8.0, "system": "any", "hard": "1", "load": 0.1,
                    "versions": {"numpy": "2"}},
        "scorer": rows,
        "pipeline": {"none": [{"devices": 500, "batch": 2, "ratio": 1.5, "daemon_ms": 1.5, "floor_ms": 1.0,
                               "stages_ms": {"decode": 0.1, "paho": 0.2}}]},
        "endtoend": {"none": {**found, "constant_rate": [trial], "flatness": 1.1, "one_sample": found}, "plain": found},
        "startup": {"ready_s": 0.5, "install_mb": 200.0, "packages": 20, "largest": ["onnxruntime"]},
    }  # fmt: skip


def test_every_part_has_its_table_and_the_picture_is_drawn(tmp_path: Path) -> None:
    text = io.StringIO()
    report.write(record(), tmp_path, Console(file=text, width=250))
    picture.draw(record(), tmp_path / "benchmark.png")
    page = (tmp_path / "benchmark.md").read_text()
    for title in ("Ratios", "Scorer: default bundle, 1 thread", "Pipeline, durability none: CPU ms a window",
                  "End to end, HARD, durability none", "End to end, a plain script", "Start-up"):  # fmt: skip
        assert f"### {title}\n" in page
        assert title in text.getvalue()
    assert json.loads((tmp_path / "benchmark.json").read_text()) == record()
    assert (tmp_path / "benchmark.png").stat().st_size > 1000


def test_a_picture_needs_no_part(tmp_path: Path) -> None:
    picture.draw({}, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 1000


@pytest.mark.parametrize("kind", suite.DURABILITIES)
def test_the_daemon_takes_every_durability_that_is_measured(kind: str) -> None:
    assert load(None, [f"state.durability={kind}"]).state.durability == kind


@pytest.mark.slow
@pytest.mark.usefixtures("needs_mosquitto")
def test_the_command_measures_and_writes(tmp_path: Path) -> None:
    done = script("benchmark.py", "--quick", "--parts", "startup", "--out", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    written = json.loads((tmp_path / "benchmark.json").read_text())
    assert written["startup"]["ready_s"] > 0
    assert "### Start-up" in (tmp_path / "benchmark.md").read_text()
    assert (tmp_path / "benchmark.png").stat().st_size > 1000
