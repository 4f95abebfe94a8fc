"""`hard run`: its log lines. The daemon itself is tested in tests/daemon."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from hard.commands.run import configure_logging
from hard.settings import load

LOG = "import logging; from hard.commands.run import configure_logging; from hard.settings import load\n"
LOG += "configure_logging(load()); logging.getLogger('hard.x').warning('it hurts')"


def test_a_line_has_its_level_and_where_it_comes_from() -> None:
    done = subprocess.run([sys.executable, "-c", LOG], check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == "WARNING hard.x: it hurts\n"


def test_for_systemds_journal_the_level_is_a_number(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        stat = log.stat()
        environment = {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}", "PYTHONPATH": ":".join(sys.path)}
        subprocess.run([sys.executable, "-c", LOG], check=True, stderr=stderr, env=environment, timeout=60)
    assert log.read_text() == "<4>hard.x: it hurts\n"


def test_the_level_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    configure_logging(load(None, ["log_level=error"]))
    assert root.level == logging.ERROR
