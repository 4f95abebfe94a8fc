#!/usr/bin/env python3
"""What a gateway pays: size of the runtime install, and resident memory of the daemon with N devices.

    python scripts/footprint.py [--devices 100] [--seconds 30]

Installs HARD without extras into a virtual environment of its own, starts mosquitto on a free loopback port, the
daemon, and simulated devices of one message a second, and prints sizes. Exit code 1 where torch came along.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MB = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description="size of the runtime install, and memory of the daemon")
    parser.add_argument("--devices", type=int, default=100, help="simulated devices (100)")
    parser.add_argument("--seconds", type=int, default=30, help="of load before memory is read (30)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python, size = install(Path(folder) / "venv")
        packages = json.loads(output(python, "-m", "pip", "list", "--format", "json"))
        names = {package["name"].lower() for package in packages} - {"pip", "setuptools"}
        rss = resident(python, Path(folder), args.devices, args.seconds)
    has_torch = "torch" in names
    print(f"runtime install: {size / MB:.0f} MB, {len(names)} packages, torch: {'yes' if has_torch else 'no'}")
    print(f"daemon with {args.devices} devices: {rss / MB:.0f} MB resident")
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


def resident(python: str, folder: Path, devices: int, seconds: int) -> int:
    """Resident bytes of the daemon after `seconds` of `devices` at a message a second."""
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not mosquitto:
        raise SystemExit("mosquitto is missing (Debian: apt install mosquitto)")
    port, metrics = free_port(), free_port()
    url = f"mqtt://127.0.0.1:{port}"
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    hard = (python, "-m", "hard")
    with running(mosquitto, "-c", str(config)):
        time.sleep(0.5)
        sets = (f"mqtt.port={port}", "mqtt.host=127.0.0.1", f"metrics.port={metrics}", "log_level=warning")
        with running(*hard, "run", *(part for s in sets for part in ("--set", s))) as daemon:
            time.sleep(2)
            simulate = ("simulate", "--broker", url, "--devices", str(devices), "--seconds", str(seconds))
            subprocess.run([*hard, *simulate], check=True, cwd=folder, stderr=subprocess.DEVNULL)
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
            wanted = ("hard_devices ", 'hard_windows_total{outcome="published"}')
            print(*(line for line in lines if line.startswith(wanted)), sep="\n")
            pages = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
