"""The short version of scripts/chaos.py: real kills of a real daemon and a real broker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_lost() -> None:
    if not (shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")):
        pytest.skip("mosquitto is not installed (Debian: apt install mosquitto)")
    options = ("--minutes", "0.75", "--kills", "6", "--broker-kills", "3", "--most-repeats", "0.2")
    done = subprocess.run(
        [sys.executable, "scripts/chaos.py", *options],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'kill_daemon': 6" in done.stdout
    assert "'kill_broker': 3" in done.stdout
    assert " 0 missing" in done.stdout
