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
from broker import Mosquitto
from sandbox import Sandbox
from seccomp import allowed
from stream.test_mqtt import Listener, eventually
from test_daemon import Running, batch, labels
from test_systemd import Systemd

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
def test_the_sandbox_is_one(sandbox: Sandbox) -> None:
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
def test_the_daemon_labels_inside_the_units_sandbox(mosquitto: Mosquitto, installed: Path, sandbox: Sandbox) -> None:
    """ExecStart of the installed unit, a password from its credentials, nothing writable but the state directory."""
    mosquitto.stop()
    passwords = mosquitto.folder / "passwords"
    passwords.touch(mode=0o600)
    for name in ("hard", "people"):
        subprocess.run(["mosquitto_passwd", "-b", passwords, name, f"{name}-secret"], check=True, timeout=60)
    mosquitto.config = ["allow_anonymous false", f"password_file {passwords}"]
    mosquitto.start()
    (sandbox.credentials / "password").write_text("hard-secret\n")
    settings = installed / "etc/hard/hard.toml"
    shipped = settings.read_text()
    mine = {"host": '"127.0.0.1"', "port": str(mosquitto.port), "username": '"hard"'}
    mine["password_file"] = '"$CREDENTIALS_DIRECTORY/password"'
    text = shipped.replace("# port = 9109", "port = 0")
    for name, value in mine.items():
        text, n = re.subn(rf"^# {name} = .*$", f"{name} = {value}", text, count=1, flags=re.M)
        assert n == 1, name
    settings.write_text(text)
    listener = Listener(mosquitto)
    listener.client.username_pw_set("people", "people-secret")
    try:
        with Systemd(sandbox.notify / "notify") as heard, listener:
            process = subprocess.Popen(
                sandbox.start_command(), stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}
            )
            running = Running(process)
            try:
                running.ready()
                for second in range(6):
                    listener.client.publish("sensors/a/accel", batch(time.time() - 60 + second), qos=1)
                eventually(lambda: len(labels(listener, "a")) == 3, 30)
                eventually(lambda: any(status.startswith("subscribed") for status in heard.statuses()))
                assert heard.heard[0] == "READY=1"
                os.kill(leaf(process.pid), signal.SIGTERM)
                assert process.wait(30) == 0, running.log
                assert "WARNING" not in running.log, running.log
            finally:
                running.stop(signal.SIGKILL)
    finally:
        settings.write_text(shipped)
