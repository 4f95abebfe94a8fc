"""hard.service without systemd: its sandbox by bubblewrap and libseccomp, around what install.sh installed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.seccomp import compile_filter


class Sandbox:
    """Commands in a scratch root as the unit would run them; `state` is all that they may write to.

    Left out of the unit: cgroups (memory, tasks, devices), and what needs systemd's own mounts below /proc and /sys.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.unit = (root / "etc/systemd/system/hard.service").read_text()
        self.state, self.credentials, self.notify = (folder / name for name in ("state", "credentials", "notify"))
        self._root, self._filter = root, folder / "filter"

    def prepare(self) -> None:
        """Makes what the unit's directives would. Skips where the tools are missing or refused."""
        for tool in ("bwrap", "systemd-analyze"):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed (Debian: apt install bubblewrap systemd)")
        try:
            self._run(["bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "/bin/true"])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"bubblewrap may not make namespaces here: {error.stderr.strip()}")
        for folder in (self.state, self.credentials, self.notify):
            folder.mkdir()
        for name in (
            "usr",
            "proc",
            "dev",
            "run",
            "tmp",
            "var/lib/hard",
            "opt",
            *(p.lstrip("/") for p in self._python()),
        ):
            (self._root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            link = self._root / name
            if not link.is_symlink():
                link.symlink_to(f"usr/{name}")
        try:
            compile_filter(
                self._filter, self.of("SystemCallFilter"), self.of("SystemCallErrorNumber")[0],
                self.of("RestrictAddressFamilies")[0].split(),
            )  # fmt: skip
        except OSError:
            pytest.skip("libseccomp is not installed (Debian: apt install libseccomp2)")
        self._run(self.command("/bin/true"))

    def of(self, key: str) -> list[str]:
        """All values of a key of the unit."""
        return re.findall(rf"^{key}=(.*)$", self.unit, flags=re.M)

    def start_command(self) -> list[str]:
        """ExecStart, inside."""
        return self.command(*shlex.split(self.of("ExecStart")[0]))

    def command(self, *command: str) -> list[str]:
        """`command`, inside."""
        binds = [word for path in ("/usr", *self._python()) for word in ("--ro-bind", path, path)]
        environment = {"STATE_DIRECTORY": "/var/lib/hard", "CREDENTIALS_DIRECTORY": "/run/credentials/hard.service"}
        environment |= {"NOTIFY_SOCKET": "/run/systemd/notify", "PATH": "/usr/bin:/bin"}
        environment |= dict(value.split("=", 1) for value in self.of("Environment"))
        bwrap = [
            *("bwrap", "--unshare-user", "--uid", "999", "--gid", "999", "--unshare-pid", "--unshare-ipc"),
            *("--unshare-uts", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--clearenv"),
            *("--ro-bind", self._root, "/", *binds, "--proc", "/proc", "--dev", "/dev"),
            *("--tmpfs", "/tmp", "--tmpfs", "/run", "--bind", self.state, "/var/lib/hard"),
            *("--ro-bind", self.credentials, "/run/credentials/hard.service", "--bind", self.notify, "/run/systemd"),
            *("--remount-ro", "/run", "--chdir", "/"),
            *(word for name, value in environment.items() for word in ("--setenv", name, value)),
        ]
        words = " ".join(shlex.quote(str(word)) for word in (*bwrap, "--seccomp", "9", "--", *command))
        return ["bash", "-c", f"umask {self.of('UMask')[0]}; exec {words} 9<{shlex.quote(str(self._filter))}"]

    @staticmethod
    def _run(command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

    @staticmethod
    def _python() -> list[str]:
        """Where the interpreter lives, if not below /usr."""
        return [] if sys.base_prefix.startswith("/usr") else [sys.base_prefix]
