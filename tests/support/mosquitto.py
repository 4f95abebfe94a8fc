"""A real mosquitto that tests can stop, kill and start."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest


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

    def acknowledgements(self, client_id: str) -> int:
        """How many messages this client has acknowledged, over all starts."""
        return self.log.count(f"Received PUBACK from {client_id} ")

    def start(self) -> None:
        """Starts on the same port as before; returns once it accepts connections."""
        assert self.process is None, "already started"
        file = self.folder / "mosquitto.conf"
        # `user`: started as root, mosquitto would drop to a user who may not read the test's folder.
        lines = [f"listener {self.port} {self.host}", *(["user root"] if os.geteuid() == 0 else []), *self.config]
        file.write_text("\n".join(lines) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([self.executable, "-c", str(file), "-v"], stdout=log, stderr=log)
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
            time.sleep(0.02)
        status = self.process.poll()
        self.stop()
        pytest.fail(f"mosquitto did not start (exit {status}): {self.log[-500:]}")

    def reconfigure(self, *lines: str) -> None:
        """Starts again with these lines added to its configuration."""
        self.stop()
        self.config += lines
        self.start()

    def stop(self, *, kill: bool = False) -> None:
        """Ends the broker, by SIGKILL where `kill`; fine when it is stopped already."""
        process, self.process = self.process, None
        if process is None:
            return
        (process.kill if kill else process.terminate)()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
