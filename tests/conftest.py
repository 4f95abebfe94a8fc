"""What several rooms' tests share: a real broker, and the recordings where they exist."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Machines that build and test are shared and slow by turns: how long an example takes says nothing.
settings.register_profile("hard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hard")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A real mosquitto on a free loopback port. `config` lines may be changed while it is stopped."""

    def __init__(self, executable: str, folder: Path) -> None:
        self.executable, self.folder = executable, folder
        self.host, self.port = "127.0.0.1", free_port()
        self.config = ["allow_anonymous true"]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text()

    def start(self) -> None:
        """Starts on the same port as before; returns once it accepts connections."""
        assert self.process is None, "already started"
        file = self.folder / "mosquitto.conf"
        # `user`: started as root, mosquitto would drop to a user who may not read the test's folder.
        lines = [f"listener {self.port} {self.host}", *(["user root"] if os.geteuid() == 0 else []), *self.config]
        file.write_text("\n".join(lines) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([self.executable, "-c", str(file), "-v"], stdout=log, stderr=log)
        until = time.monotonic() + 10
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
            time.sleep(0.02)
        status = self.process.poll()
        self.stop()
        pytest.fail(f"mosquitto did not start (exit {status}): {self.log[-500:]}")

    def stop(self, *, kill: bool = False) -> None:
        """Ends the broker, by SIGKILL where `kill`; fine when it is stopped already."""
        process, self.process = self.process, None
        if process is None:
            return
        (process.kill if kill else process.terminate)()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A started mosquitto, stopped at the end of the test."""
    executable = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if executable is None:
        pytest.skip("mosquitto is not installed (Debian: apt install mosquitto)")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(executable, folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def motionsense() -> Path:
    """The recordings beside the checkout; they are never committed, so elsewhere the test skips."""
    path = SHARED_DATA / "motionsense" / "motionsense_50hz_raw.txt.xz"
    if not path.is_file():
        pytest.skip(f"no recordings at ../shared ({path.name})")
    return path
