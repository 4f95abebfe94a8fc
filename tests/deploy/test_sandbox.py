"""The daemon labels inside the unit's sandbox, and the sandbox is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.daemon import ROOT, Running, batch
from support.guarded import Client
from support.listener import eventually
from support.mosquitto import Mosquitto
from support.notify_socket import NotifySocket
from support.sandbox import Sandbox
from support.seccomp import allowed

PROBE = """
import errno, json, os, socket, ctypes
def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *args):
    if function(*args) < 0:
        raise OSError(ctypes.get_errno(), "")
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "etc": outcome(lambda: open("/etc/hard/x", "w")),
    "program": outcome(lambda: open("/opt/hard/x", "w")),
    "usr": outcome(lambda: open("/usr/x", "w")),
    "run": outcome(lambda: open("/run/x", "w")),
    "state": outcome(lambda: open("/var/lib/hard/probe", "w")),
    "user": [os.getuid(), os.getgid()],
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]) < 5,
    "netlink": outcome(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "internet": outcome(lambda: socket.socket()),
    "mount": outcome(lambda: call(libc.mount, b"x", b"/tmp", b"tmpfs", 0, None)),
    "namespace": outcome(lambda: call(libc.unshare, 0x10000000)),
    "priority": outcome(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)),
    "capabilities": status["CapEff"], "more": status["NoNewPrivs"], "filter": status["Seccomp"],
}))
"""


@pytest.fixture
def sandbox(installed: Path, tmp_path: Path) -> Sandbox:
    made = Sandbox(installed, tmp_path)
    made.prepare()
    return made


def test_the_filter_is_read_as_systemd_reads_it() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt install systemd)")
    left = allowed(["@system-service", "~@privileged @resources"])
    assert {"read", "execve", "futex", "sendto", "epoll_wait", "nanosleep", "clone"} <= left
    assert not {"mount", "mbind", "setpriority", "chroot", "ptrace", "reboot"} & left


@pytest.mark.slow
def test_the_sandbox_confines(sandbox: Sandbox) -> None:
    done = subprocess.run(
        sandbox.command("/opt/hard/bin/python", "-c", PROBE), check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "etc": "EROFS", "program": "EROFS", "usr": "EROFS", "run": "EROFS", "state": "done", "user": [999, 999],
        "processes": True, "netlink": "EPERM", "internet": "done", "mount": "EPERM", "namespace": "EPERM",
        "priority": "EPERM", "capabilities": "0" * 16, "more": "1", "filter": "2",
    }  # fmt: skip
    assert (sandbox.state / "probe").stat().st_mode & 0o777 == 0o600


def leaf(pid: int) -> int:
    """The innermost child: the daemon, below bubblewrap and its own first process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return leaf(int(children[0])) if children else pid


@pytest.mark.slow
def test_the_daemon_labels_inside_the_units_sandbox(guarded: Mosquitto, installed: Path, sandbox: Sandbox) -> None:
    """ExecStart as installed, the README's settings for TLS and credentials, the broker of deploy/mosquitto."""
    (sandbox.credentials / "password").write_text("hard-secret\n")
    (sandbox.credentials / "ca.pem").write_bytes((guarded.folder / "certs/ca.pem").read_bytes())
    (written,) = re.findall(r"```toml\n(\[mqtt\]\n.*?)```", (ROOT / "deploy/README.md").read_text(), flags=re.S)
    here, n = re.subn(r"^port = 8883$", f'host = "127.0.0.1"\nport = {guarded.port}', written, flags=re.M)
    assert n == 1
    settings = installed / "etc/hard/hard.toml"
    shipped = settings.read_text()
    settings.write_text(f"{here}\n[metrics]\nport = 0\n")
    try:
        with (
            NotifySocket(sandbox.notify / "notify") as notify,
            Client(guarded, "reader") as reader,
            Client(guarded, "belt-7") as sensor,
        ):
            reader.subscribe("hard/#")
            running = Running(sandbox.state.parent / "daemon.log", ())
            running.command = sandbox.start_command()
            running.start()
            try:
                running.ready()
                start = time.time() - 60
                for second in range(6):
                    sensor.publish("sensors/belt-7/accel", batch(start + second))
                eventually(lambda: [topic for topic, _ in reader.came].count("hard/belt-7/activity") == 3)
                eventually(lambda: any(status.startswith("subscribed") for status in notify.statuses()))
                assert notify.notifications[0] == "READY=1"
                os.kill(leaf(running.pid), signal.SIGTERM)
                assert running.wait(30) == 0, running.log
                assert "WARNING" not in running.log, running.log
                assert list(sandbox.state.iterdir()) != [], "the journal is not where it may be"
            finally:
                running.stop(signal.SIGKILL)
    finally:
        settings.write_text(shipped)
