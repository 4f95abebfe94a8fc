"""The real broker and the real daemon, to be killed, stopped and started again. Knows no plan."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What deploy/mosquitto recommends; the rest of that file is TLS and passwords.
KEPT = ("persistence true", "autosave_interval 1", "max_queued_messages 500000", "max_inflight_messages 2000")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds, within_s: float, what: str) -> None:
    """Waits for something that another process brings about. Raises TimeoutError."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within_s:g} s")
        time.sleep(0.02)


class Process:
    """A child that can be started more than once; what it says goes to one file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self, command: Sequence[str], **options) -> None:
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, **options)

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self, number: int, within_s: float = 30) -> int:
        """Sends a signal and waits; gives the exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self.signal(number)
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait(10)

    def memory_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Broker(Process):
    """mosquitto on a loopback port, with its store in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__("mosquitto", folder)
        found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if not found:
            raise SystemExit("mosquitto is missing (Debian: apt install mosquitto)")
        self._executable, self.port = found, free_port()
        self._config = folder / "mosquitto.conf"
        user = ["user root"] if os.geteuid() == 0 else []  # as root it would drop to a user who may not write here
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", f"persistence_location {folder}/", *KEPT]
        self._config.write_text("\n".join([*lines, *user]) + "\n")

    def start(self) -> None:
        self.launch([self._executable, "-c", str(self._config)])
        until(self._listens, 15, "mosquitto")

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


class Daemon(Process):
    """`hard run` against `port`, with its state in `state`; `code` is run before, in the same process."""

    def __init__(self, folder: Path, port: int, state: Path, overrides: Sequence[str] = (), *, code: str = "") -> None:
        super().__init__("hard", folder)
        self._metrics = free_port()
        sets = (
            f"mqtt.port={port}", "mqtt.host=127.0.0.1", "mqtt.client_id=chaos", "mqtt.reconnect_max_s=1",
            f"metrics.port={self._metrics}", f"state.dir={state}", "publish.health_every_s=5", *overrides,
        )  # fmt: skip
        start = f"{code}\nimport sys\nfrom hard.cli import main\nsys.exit(main(sys.argv[1:]))"
        self._command = [sys.executable, "-c", start, "run", *(part for s in sets for part in ("--set", s))]

    def start(self) -> None:
        self.launch(self._command)

    def subscribed(self) -> bool:
        return self.metrics().get("hard_broker_subscribed", 0) == 1

    def metrics(self) -> dict[str, float]:
        """Empty while it can't be asked."""
        with suppress(OSError, ValueError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
            pairs = (line.rpartition(" ") for line in lines if line[:1] != "#")
            return {name: float(value) for name, _, value in pairs}
        return {}


def unbalanced(metrics: dict[str, float]) -> list[str]:
    """The balances that don't hold."""
    problems = []
    for book, (came, before, still) in {
        "messages": ("received", "messages_replayed", "messages_queued"),
        "samples": ("decoded", "samples_restored", "samples_held"),
        "windows": ("closed", "windows_restored", "windows_in_flight"),
    }.items():
        outcomes = sum(value for name, value in metrics.items() if name.startswith(f"hard_{book}_total{{"))
        entered = metrics[f"hard_{book}_{came}_total"] + metrics[f"hard_{before}_total"]
        if entered != outcomes + metrics[f"hard_{still}"]:
            problems.append(f"{book}: {entered:g} in, {outcomes + metrics[f'hard_{still}']:g} accounted for")
    return problems


def last_health(payload: bytes | None) -> dict:
    return json.loads(payload) if payload else {}


KILL, STOP, CONTINUE, TERM = signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM
