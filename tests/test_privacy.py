"""HARD sends no telemetry: that of ONNX Runtime, on by default from 1.29, never starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LABELLING = "from hard.model import bundle, classifier; classifier.load(bundle.find(), 'onnx', 1)"
TRAINING = "import sys; sys.path.insert(0, 'scripts'); import finetune, training.export"


@pytest.mark.parametrize(
    "code", [LABELLING, pytest.param(TRAINING, marks=pytest.mark.slow)], ids=["labelling", "training"]
)
def test_no_identifier_of_this_machine_is_made(tmp_path: Path, code: str) -> None:
    """By default ONNX Runtime writes an identifier below the home folder when it is imported, and sends it."""
    leave_out = ("CI", "ORT_", "XDG_", "GITHUB_", "TF_BUILD", "PYTEST")  # it sends nothing where it detects a test
    environment = {name: value for name, value in os.environ.items() if not name.startswith(leave_out)}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import onnxruntime; print('imported')"],
        check=False, cwd=ROOT, env={**environment, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == "imported\n", done.stderr
    assert not [path for path in tmp_path.rglob("*") if "onnx" in str(path).lower() or "deviceid" in path.name]
