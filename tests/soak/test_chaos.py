"""The short version of scripts/chaos.py: real kills of a real daemon and a real broker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_lost() -> None:
    if not (shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")):
        pytest.skip("mosquitto is not installed (Debian: apt install mosquitto)")
    options = ("--minutes", "0.75", "--kills", "6", "--broker-kills", "3", "--aimed", "0.5", "--most-repeats", "0.3")
    done = subprocess.run(
        [sys.executable, "scripts/chaos.py", *options],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'kill_daemon': 6" in done.stdout
    assert "'kill_broker': 3" in done.stdout
    assert " 0 missing" in done.stdout


@pytest.mark.slow
def test_at_twice_the_sustainable_load_memory_is_flat_and_books_balance() -> None:
    if not (shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")):
        pytest.skip("mosquitto is not installed (Debian: apt install mosquitto)")
    done = subprocess.run(
        [sys.executable, "scripts/chaos.py", "--overload", "--minutes", "0.75"],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    # How old labels are depends on who else is at work on this machine; the long version judges it.
    assert "memory grows" not in done.stdout, done.stdout
    assert "nothing was degraded" not in done.stdout, done.stdout
    assert "books" not in done.stdout, done.stdout
