"""The processes of a run: mosquitto as HARD recommends it, the daemon, scripts to compare with. Each ends with its
block."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from hard.errors import UsageError

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent
LOOPBACK = "127.0.0.1"
# As deploy/README.md says; the broker's own limits on what it queues would lose messages first.
MOSQUITTO = ("max_queued_messages 500000", "max_inflight_messages 2000", "persistence true", "autosave_interval 1")
START_S = 60.0


@dataclass(slots=True)
class Child:
    """A running process, what it wrote, and how long it took to say that it is ready."""

    process: psutil.Popen
    log: Path
    begun: float  # of time.monotonic
    ready_s: float = 0.0

    def cpu_s(self) -> float:
        """User and system time so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[tuple[int, Child]]:
    """A broker on a free loopback port. Raises UsageError where there is none."""
    executable = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not executable:
        raise UsageError("mosquitto is missing (Debian: apt install mosquitto)")
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"listener {port} {LOOPBACK}", "allow_anonymous true", f"persistence_location {folder}/", *MOSQUITTO]
    lines += ["user root"] * (os.geteuid() == 0)
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    with running([executable, "-c", str(folder / "mosquitto.conf")], folder / "mosquitto.log") as child:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
                break
            time.sleep(0.02)
        yield port, child


@contextlib.contextmanager
def daemon(folder: Path, port: int, sets: Sequence[str] = (), checkout: Path = ROOT) -> Iterator[Child]:
    """`hard run` of a checkout, once it says that it is ready."""
    own = (
        f"mqtt.host={LOOPBACK}", f"mqtt.port={port}", "metrics.enabled=true", "metrics.port=0",
        f"state.dir={folder / 'state'}", *sets,
    )  # fmt: skip
    command = [sys.executable, "-m", "hard", "run", *(part for s in own for part in ("--set", s))]
    with running(command, folder / "daemon.log", (checkout,)) as child:
        wait_for("ready", child)
        yield child


@contextlib.contextmanager
def script(name: str, folder: Path, *arguments: object) -> Iterator[Child]:
    """A room of this folder as a process of its own, once it prints `ready:`."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]
    with running(command, folder / f"{name}.log") as child:
        wait_for("ready:", child)
        yield child


def wait_for(word: str, child: Child) -> None:
    while word not in child.log.read_text(errors="replace"):
        if child.process.poll() is not None or time.monotonic() - child.begun > START_S:
            raise UsageError(f"a process did not start: {child.log.read_text(errors='replace')[-400:]}")
        time.sleep(0.005)
    child.ready_s = time.monotonic() - child.begun


@contextlib.contextmanager
def running(command: Sequence[str], log: Path, path: Sequence[Path] = (SCRIPTS, ROOT)) -> Iterator[Child]:
    """A process that ends with the block. It imports from `path` first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = python_environment(*path)
    begun = time.monotonic()
    with log.open("wb") as file:
        process = psutil.Popen(command, stdout=file, stderr=file, env=environment, cwd="/")
    try:
        yield Child(process, log, begun)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def python_environment(*path: Path) -> dict[str, str]:
    """Of a process whose modules come from `path` first; it has one thread of torch's and none of our own settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARD_")}
    path_text = os.pathsep.join(map(str, path))
    return {**inherited, "PYTHONPATH": path_text, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}


def mean_batch(daemon: Child) -> float:
    """How many windows it labelled at once, as its metrics tell."""
    address = re.search(r"metrics on (http://\S+)", daemon.log.read_text(errors="replace"))
    if address is None:
        return 0.0
    with urllib.request.urlopen(address[1], timeout=10) as answer:
        told = answer.read().decode()
    total, count = (float(re.search(rf"^hard_batch_windows_{part} (\S+)", told, re.M)[1]) for part in ("sum", "count"))  # type: ignore[index]
    return total / max(count, 1)
