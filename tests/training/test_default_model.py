"""The script that made the shipped bundle runs the commands that its card has."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.scripts import ROOT

from hard.model import bundle

SCRIPT = ROOT / "scripts" / "default_model.sh"


def test_the_commands_are_those_of_the_card(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho python "$@"\n')
    python.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([SCRIPT], check=True, capture_output=True, text=True, env=environment)
    training = bundle.read(only=()).manifest.training
    assert training.metrics.cross_validation
    expected = [training.metrics.cross_validation.command, training.command]
    assert [shlex.split(line) for line in done.stdout.splitlines()] == [shlex.split(line) for line in expected]


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (Debian: apt install shellcheck)")
    done = subprocess.run([shellcheck, SCRIPT], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
