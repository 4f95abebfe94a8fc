"""`hard demo` as a newcomer runs it: labels, a closing line, exit code 0, and no child left behind in any case."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.guarded import guard
from support.mosquitto import Mosquitto
from support.shown_labels import shown_label

from hard.commands.demo import DemoResults
from hard.formats import native_json
from hard.mqtt.simple_client import SimpleClient
from hard.simulator import Wearer

ROOT = Path(__file__).resolve().parents[2]
CLOSING = re.compile(r"(\d+) labels, (\d+\.\d) % right, p50 (\d+\.\d) ms, p99 (\d+\.\d) ms")


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A running `hard demo` with its output in a pipe: no terminal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hard", "demo", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=120)


def children_of(parent: int) -> dict[int, str]:
    """Process ids and command lines of the children of `parent`."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def first_label(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        if " true " in line:
            return
    pytest.fail(f"no label: {process.stderr.read() if process.stderr else ''}")


def gone(pids: dict[int, str]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.slow
def test_ends_by_itself_with_the_closing_line(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("amqtt", reason="the embedded broker is in the extra `demo`")
    begun = time.monotonic()
    with demo("--seconds", "4", "--devices", "3") as process:
        first_label(process)
        inside = children_of(process.pid)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert time.monotonic() - begun > 4 + 4  # a window, and then 4 s
    assert len(inside) == 2
    assert gone(inside)
    *lines, last = out.splitlines()
    labels, right, p50, p99 = (float(figure) for figure in CLOSING.fullmatch(last).groups())  # type: ignore[union-attr]
    assert len(lines) == labels - 1
    assert labels >= 3
    assert 0 <= right <= 100
    assert 0 < p50 <= p99


@pytest.mark.slow
def test_it_runs_on_a_broker_with_tls_and_passwords_by_a_daemons_settings(mosquitto: Mosquitto, tmp_path: Path) -> None:
    guard(mosquitto)
    (tmp_path / "password").write_text("observer-secret\n")
    (tmp_path / "hard.toml").write_text(
        f'[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\nusername = "observer"\ntls = true\n'
        f'password_file = "{tmp_path}/password"\nca_file = "{mosquitto.folder}/certs/ca.pem"\n'
    )
    with demo("--seconds", "1", "--devices", "1", "--config", str(tmp_path / "hard.toml")) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert CLOSING.fullmatch(out.splitlines()[-1])


def session_is_kept(mosquitto: Mosquitto, client_id: str) -> bool:
    """Whether the broker remembers this client."""
    with SimpleClient(mosquitto.address, client_id=client_id, clean_session=False) as client:
        return client.session_present


@pytest.mark.slow
def test_on_a_shared_broker_it_affects_nothing_and_leaves_nothing(mosquitto: Mosquitto) -> None:
    in_use = {"hard/status": b"online", "hard/health": b"{}", "hard/belt/state": b"{}"}
    with SimpleClient(mosquitto.address) as others:
        for topic, payload in in_use.items():
            others.publish(topic, payload, retain=True)
    with (
        SimpleClient(mosquitto.address, ("#",)) as listener,
        demo("--seconds", "2", "--devices", "2", "--broker", mosquitto.url) as process,
    ):
        assert process.stdout
        assert process.stdout.readline().rstrip().endswith("; labels on hard/demo-1/activity, …-2/…")
        first_label(process)
        motion = Wearer(0, 50.0, start=time.time()).take(300)
        with SimpleClient(mosquitto.address) as others:  # a real device; the daemon that it belongs to is not here
            others.publish("sensors/belt/accel", native_json.write(motion.time, motion.xyz, 50.0))
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert CLOSING.fullmatch(out.splitlines()[-1])
        with SimpleClient(mosquitto.address) as last:
            last.publish("end", b"")
        seen = {topic for topic, _ in iter(lambda: listener.received.get(timeout=60), ("end", b""))}
    (instance,) = {topic.split("/")[0] for topic in seen if topic.startswith("hard-demo-")}
    own = {f"hard/@{instance}/{topic}" for topic in ("status", "health")}
    wearers = {topic for topic in seen if re.match(rf"({instance}|hard)/demo-[12]/", topic)}
    assert seen == {*in_use, "sensors/belt/accel", *own, *wearers}
    assert {f"{instance}/demo-1/accel", "hard/demo-2/activity"} <= wearers
    with SimpleClient(mosquitto.address, ("#",)) as late:
        late.publish("end", b"")
        kept = dict(iter(lambda: late.received.get(timeout=60), ("end", b"")))
    assert kept == in_use
    assert not session_is_kept(mosquitto, instance)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything(mosquitto: Mosquitto, number: signal.Signals) -> None:
    with demo("--devices", "1", "--broker", mosquitto.url) as process:
        first_label(process)
        inside = children_of(process.pid)
        process.send_signal(number)
        time.sleep(0.05)
        process.send_signal(number)  # an impatient second one
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert CLOSING.fullmatch(out.splitlines()[-1])
    assert inside
    assert gone(inside)


@pytest.mark.slow
def test_a_dead_daemon_is_named_and_everything_ends() -> None:
    pytest.importorskip("amqtt", reason="the embedded broker is in the extra `demo`")
    with demo("--devices", "1") as process:
        first_label(process)
        inside = children_of(process.pid)
        daemon = next(pid for pid, line in inside.items() if "hard run" in line)
        os.kill(daemon, signal.SIGKILL)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.startswith("hard: the daemon ended with exit code -9: ")
    assert err.count("\n") == 1
    assert gone(inside)


def test_right_counts_windows_of_one_activity_only() -> None:
    wearer = Wearer(0, 50.0)
    motion = wearer.take(50 * 60)
    results = DemoResults({"demo-1": wearer})
    assert results.line() == "0 labels, – % right, p50 0.0 ms, p99 0.0 ms"
    change = next(float(t) for t, a in zip(motion.time, motion.activity, strict=True) if a != motion.activity[0])
    assert results.add(shown_label("demo-1", str(motion.activity[0]), change - 4, change, 0.002))
    assert results.add(shown_label("demo-1", "Flying", change - 5, change - 1, 0.004))
    assert results.add(shown_label("demo-1", "Flying", change - 2, change + 2, 0.003))
    assert (results.labels, results.compared, results.right) == (3, 2, 1)
    assert results.line() == "3 labels, 50.0 % right, p50 3.0 ms, p99 4.0 ms"
    assert results.table().row_count == 1


def test_labels_of_other_devices_and_second_labels_of_a_window_do_not_count() -> None:
    wearer = Wearer(0, 50.0)
    wearer.take(500)
    results = DemoResults({"demo-1": wearer})
    assert not results.add(shown_label("other", "Walking", 0, 4))
    assert results.add(shown_label("demo-1", "Walking", 0, 4))
    assert not results.add(shown_label("demo-1", "Sitting", 0, 4))
    assert results.labels == 1
