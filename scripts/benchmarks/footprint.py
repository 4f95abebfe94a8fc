"""Size of the runtime install, and resident memory of the daemon, both in a virtual environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hard.commands.processes import LOOPBACK, DaemonProcess, MosquittoProcess

ROOT = Path(__file__).resolve().parents[2]
MB = 1_000_000


def measure(folder: Path, devices: int, seconds: int) -> int:
    """Prints both; gives an exit code, 1 where torch came along. `folder` takes the environment."""
    python, size = install(folder / "venv")
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True
    ).stdout
    names = {package["name"].lower() for package in json.loads(listed)} - {"pip", "setuptools"}
    rss = resident_bytes(python, folder, devices, seconds)
    has_torch = "torch" in names
    print(f"runtime install: {size / MB:.0f} MB, {len(names)} packages, torch: {'yes' if has_torch else 'no'}")
    print(f"daemon with {devices} devices: {rss / MB:.0f} MB resident")
    return int(has_torch)


def install(folder: Path) -> tuple[str, int]:
    """A fresh environment with HARD alone: its interpreter, and what the install added in bytes."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    before = size_of(folder)
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    return python, size_of(folder) - before


def size_of(folder: Path) -> int:
    """Bytes on disk, links not followed."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def resident_bytes(python: str, folder: Path, devices: int, seconds: int) -> int:
    """Of the daemon of that interpreter, after `seconds` of `devices` at a message a second."""
    with MosquittoProcess(folder / "broker") as broker:
        settings = (f"mqtt.port={broker.port}", f"mqtt.host={LOOPBACK}", "metrics.port=0", f"state.dir={folder}/state")
        environment = {**os.environ, "PYTHONPATH": ""}  # it imports the installed HARD, not one of a checkout
        log = folder / "daemon.log"
        with DaemonProcess(log, settings, python=python, environment=environment, cwd=folder) as daemon:
            daemon.wait_ready()
            simulate = ("simulate", "--broker", broker.url, "--devices", str(devices), "--seconds", str(seconds))
            subprocess.run(
                [python, "-m", "hard", *simulate], check=True, cwd=folder, env=environment, stderr=subprocess.DEVNULL
            )
            for name, value in daemon.metrics().items():
                if name in ("hard_devices", 'hard_windows_total{outcome="published"}'):
                    print(f"{name} {value:g}")
            return daemon.memory_bytes()
