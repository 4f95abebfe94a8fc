"""Real processes for the demo, the scripts and the tests: start them, wait until they are ready, end them.

A process writes to one log file, can be started more than once, and never outlives the block that it is used in.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from hard.errors import CommandError, UsageError
from hard.mqtt.broker_address import BrokerAddress

LOOPBACK = "127.0.0.1"
START_S = 60.0
END_S = 20.0  # more than the daemon's grace time
LOOK_AGAIN_S = 0.02
# What deploy/mosquitto recommends so that the broker keeps every message; the rest of that file is TLS and passwords.
KEEP_MESSAGES = (
    "persistence true", "autosave_interval 1", "max_queued_messages 500000", "max_inflight_messages 2000",
)  # fmt: skip
RUN_HARD = "import sys\nfrom hard.cli import main\nsys.exit(main(sys.argv[1:]))"


def free_port() -> int:
    """A loopback port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether a process accepts connections on the loopback `port`."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def wait_until(
    holds: Callable[[], object], failure: str, within_s: float, check: Callable[[], None] = lambda: None
) -> None:
    """Returns when `holds()`. Raises CommandError with `failure` after `within_s`; `check` may raise before."""
    until = time.monotonic() + within_s
    while not holds():
        check()
        if time.monotonic() > until:
            raise CommandError(f"{failure} after {within_s:g} s")
        time.sleep(LOOK_AGAIN_S)


class Process:
    """One command. As a context manager it is started at the beginning of the block and ended at its end.

    It inherits our environment without HARD_ settings; `environment` is added. It has a process group of its own, so
    that Ctrl-C reaches only us and processes end in order. Its standard input ends when we do.
    """

    def __init__(
        self, name: str, command: Sequence[str], log_file: Path, *,
        environment: Mapping[str, str] | None = None, cwd: Path | None = None,
    ) -> None:  # fmt: skip
        self.name, self.command, self.log_file = name, list(command), log_file
        self.starts = 0
        self.started_at = 0.0  # time.monotonic()
        self._environment, self._cwd = dict(environment or {}), cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0  # where the log of the latest start begins

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Of the latest start."""
        assert self._process, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the latest start; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def log(self) -> str:
        """All that it has written, over all starts."""
        return self.log_file.read_text(errors="replace") if self.starts or self.log_file.exists() else ""

    @property
    def log_since_start(self) -> str:
        """What it has written since its latest start."""
        return self.log[self._log_begin :]

    def start(self) -> None:
        """Starts the process. Raises OSError where the command can't be run."""
        assert not self.running, f"{self.name} is running already"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log_begin = len(self.log)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARD_")}
        self.starts += 1
        self.started_at = time.monotonic()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self._cwd,
                env=inherited | self._environment, start_new_session=True,
            )  # fmt: skip

    def check(self) -> None:
        """Raises CommandError where the process has ended."""
        if (code := self.exit_code) is not None:
            lines = self.log_since_start.strip().splitlines()
            raise CommandError(f"{self.name} ended with exit code {code}: {lines[-1] if lines else 'it wrote nothing'}")

    def wait_for_log(self, text: str, within_s: float = START_S) -> float:
        """Waits until it has written `text` since its start; gives the seconds since that. Raises CommandError."""
        wait_until(lambda: text in self.log_since_start, f"{self.name} did not write {text!r}", within_s, self.check)
        return time.monotonic() - self.started_at

    def wait_for_port(self, port: int, within_s: float = START_S) -> None:
        """Waits until it accepts connections on the loopback `port`. Raises CommandError."""
        wait_until(lambda: listens(port), f"{self.name} does not answer", within_s, self.check)

    def wait(self, within_s: float) -> int:
        """Waits until it ends by itself; gives the exit code. Raises CommandError."""
        wait_until(lambda: not self.running, f"{self.name} does not end", within_s)
        return self.end()

    def send_signal(self, number: int) -> None:
        """Sends a signal; does nothing where the process has ended."""
        if self._process:
            self._process.send_signal(number)

    def end(self, number: int = signal.SIGTERM, within_s: float = END_S) -> int:
        """Sends the signal, after `within_s` SIGKILL; gives the exit code, 0 where it was never started."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            if self._process.stdin:
                self._process.stdin.close()

    def cpu_s(self) -> float:
        """User and system time so far, of all its threads (proc(5), fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Resident memory now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Open file descriptors now."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())


class MosquittoProcess(Process):
    """mosquitto on a free loopback port, the same at each start, its files in `folder`; it answers when it is started.

    `config` holds the other lines of its configuration and may be changed before a start; `verbose` logs each packet.
    Raises UsageError where mosquitto is not installed.
    """

    def __init__(self, folder: Path, config: Sequence[str] = KEEP_MESSAGES, *, verbose: bool = False) -> None:
        executable = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if executable is None:
            raise UsageError("mosquitto is not installed (Debian: apt install mosquitto)")
        self.folder, self.host, self.port = folder, LOOPBACK, free_port()
        self.config = ["allow_anonymous true", *config]
        self._config_file = folder / "mosquitto.conf"
        command = [executable, "-c", str(self._config_file), *(["-v"] if verbose else [])]
        super().__init__("mosquitto", command, folder / "mosquitto.log")

    @property
    def address(self) -> BrokerAddress:
        return BrokerAddress(self.host, self.port)

    @property
    def url(self) -> str:
        return f"mqtt://{self.address}"

    def start(self) -> None:
        """Returns when it accepts connections. Raises CommandError."""
        lines = [f"listener {self.port} {self.host}", f"persistence_location {self.folder}/", *self.config]
        if os.geteuid() == 0:  # mosquitto would change to a user who may not read `folder`
            lines.append("user root")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config_file.write_text("\n".join(lines) + "\n")
        super().start()
        self.wait_for_port(self.port)


class DaemonProcess(Process):
    """`hard run` of the interpreter `python` under `settings` (`section.name=value`); `code` is Python that runs before
    it in the same process."""

    def __init__(
        self, log_file: Path, settings: Sequence[str], *, code: str = "", python: str = sys.executable,
        environment: Mapping[str, str] | None = None, cwd: Path | None = None,
    ) -> None:  # fmt: skip
        program = ["-c", f"{code}\n{RUN_HARD}"] if code else ["-m", "hard"]
        command = [python, *program, "run", *(part for setting in settings for part in ("--set", setting))]
        super().__init__("the daemon", command, log_file, environment=environment, cwd=cwd)

    def wait_ready(self, within_s: float = START_S) -> float:
        """Waits for its line `ready`; gives the seconds since its start. Raises CommandError."""
        return self.wait_for_log("ready:", within_s)

    @property
    def metrics_url(self) -> str:
        """Where its metrics are, from its log. Raises CommandError where it hasn't said so yet, or serves none."""
        if found := re.search(r"metrics on (http://\S+)", self.log_since_start):
            return found[1]
        raise CommandError("the daemon serves no metrics")

    def metrics(self) -> dict[str, float]:
        """Each series by its name and labels. Raises CommandError or OSError where they can't be read."""
        with urllib.request.urlopen(self.metrics_url, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


class EmbeddedBroker(Process):
    """A small broker on a free loopback port, for where no mosquitto is installed. Raises UsageError without amqtt."""

    def __init__(self, folder: Path) -> None:
        if find_spec("amqtt") is None:
            raise UsageError(
                "the embedded broker needs amqtt: pip install 'hard-daemon[demo]', or name a broker with --broker"
            )
        self.port = free_port()
        command = [sys.executable, "-m", "hard.commands.embedded", str(self.port)]
        super().__init__("the embedded broker", command, folder / "embedded-broker.log")

    @property
    def address(self) -> BrokerAddress:
        return BrokerAddress(LOOPBACK, self.port)

    def start(self) -> None:
        """Returns when it accepts connections. Raises CommandError."""
        super().start()
        self.wait_for_port(self.port)
