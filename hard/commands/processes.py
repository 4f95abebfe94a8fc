"""Child processes of the demo: a broker and the daemon, their last words kept, ended in every case."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from hard.errors import CommandError, UsageError

LOOPBACK = "127.0.0.1"
START_S = 30.0
END_S = 15.0  # more than the daemon's grace time


class Child:
    """A running child: its name for people, its process, and the file with what it says."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.process, self.log = name, process, log

    def check(self) -> None:
        """Raises CommandError where the child has ended."""
        code = self.process.poll()
        if code is not None:
            raise CommandError(f"{self.name} ended with exit code {code}: {self.last_words()}")

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@contextlib.contextmanager
def child(name: str, arguments: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Child]:
    """`python {arguments}` while the block runs, ended by SIGTERM, then SIGKILL; `more` joins its environment.

    It gets none of our own HARD_ settings. It has a process group of its own, so that Ctrl-C reaches us alone and
    children end in order.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HARD_")} | dict(more or {})
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        yield Child(name, process, log)
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()


@contextlib.contextmanager
def embedded_broker(folder: Path) -> Iterator[tuple[str, Child]]:
    """A broker of our own on a free loopback port: its URL and its process. UsageError without amqtt."""
    if find_spec("amqtt") is None:
        raise UsageError(
            "the embedded broker needs amqtt: pip install 'hard-daemon[demo]', or name a broker with --broker"
        )
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    with child("the embedded broker", ["-m", "hard.commands.embedded", str(port)], folder) as broker:
        until = time.monotonic() + START_S
        while True:
            broker.check()
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
                break
            if time.monotonic() > until:
                raise CommandError(f"the embedded broker does not answer after {START_S:g} s")
            time.sleep(0.05)
        yield f"mqtt://{LOOPBACK}:{port}", broker
