"""Notifications to systemd: a real notify socket, a real broker, real faults."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.daemon import Running, batch, daemon, labels, replacing
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto
from support.notify_socket import NotifySocket

from hard.commands.processes import free_port
from hard.daemon import systemd

STUCK = "lambda *_: threading.Event().wait()"
STUCK_LABEL = replacing("hard.model.classifier.Classifier.classify", STUCK)
SHORT_MARGIN = replacing("hard.daemon.daemon.SHUTDOWN_MARGIN_S", "2")


@contextmanager
def service(
    port: int, folder: Path, *overrides: str, interval_s: int = 0, code: str = ""
) -> Iterator[tuple[NotifySocket, Running]]:
    """A daemon as systemd would start it, with WatchdogSec=`interval_s`."""
    watchdog = {"WATCHDOG_USEC": str(interval_s * 1_000_000)} if interval_s else {}
    environment = {"NOTIFY_SOCKET": str(folder / "notify"), **watchdog}
    with (
        NotifySocket(folder / "notify") as notify,
        daemon(port, *overrides, code=code, **environment) as running,
    ):
        yield notify, running


def send(listener: Listener, seconds: range) -> None:
    start = time.time() - 100
    for second in seconds:
        listener.client.publish("sensors/a/accel", batch(start + second), qos=1)


def test_ready_then_status_with_rates_then_stopping(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with service(mosquitto.port, tmp_path) as (notify, running):
        eventually(lambda: notify.notifications, 120)
        assert notify.notifications[0] == "READY=1"
        running.ready()
        eventually(notify.statuses)
        assert notify.statuses()[0] == "subscribed; 0.0 messages/s, 0.0 labels/s, 0 of 0 devices active"
        assert running.stop() == 0
        # grace_s and the margin beyond it
        eventually(lambda: notify.notifications[-1] == "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000")
        assert notify.watchdog_count() == 0  # the unit has no WatchdogSec


@pytest.mark.slow
def test_keep_alives_go_on_at_rest_and_without_a_broker(mosquitto: Mosquitto, tmp_path: Path) -> None:
    interval_s = 3
    with service(mosquitto.port, tmp_path, interval_s=interval_s) as (notify, running):
        eventually(lambda: notify.watchdog_count() >= 3, 120)
        mosquitto.stop(kill=True)
        eventually(lambda: "no connection" in notify.statuses()[-1])
        assert notify.statuses()[-1].startswith(f"no connection to the broker at 127.0.0.1:{mosquitto.port}; ")
        before = notify.watchdog_count()
        eventually(lambda: notify.watchdog_count() >= before + 3 * interval_s)  # a tick a second feeds it each time
        assert running.exit_code is None
        mosquitto.start()
        eventually(lambda: notify.statuses()[-1].startswith("subscribed; "))
        assert running.stop() == 0


@pytest.mark.slow
def test_a_stuck_label_thread_is_reported_gets_no_keep_alive_and_ends_the_process(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    with (
        Listener(mosquitto) as listener,
        service(mosquitto.port, tmp_path, "grace_s=0", interval_s=9, code=STUCK_LABEL) as (notify, running),
    ):
        running.ready()
        send(listener, range(6))
        eventually(lambda: running.metrics()['hard_stage_stalled_seconds{stage="label"}'] > 0)
        eventually(lambda: any("label has made no progress for" in s for s in notify.statuses()))
        assert running.wait(120) == 1  # after WatchdogSec, which is less than stuck_after_s
        eventually(lambda: "the label thread is stuck" in running.log)
        eventually(lambda: notify.notifications[-1].startswith("STOPPING=1"))
        last_fed = len(notify.notifications) - notify.notifications[::-1].index("WATCHDOG=1")
        since_s = re.findall(r"label has made no progress for (\d+) s", "\n".join(notify.notifications[last_fed:]))
        assert max(map(int, since_s)) >= 9
        assert labels(listener, "a") == []


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        ("label", STUCK_LABEL),
        ("assemble", replacing("hard.pipeline.decoder.Decoder.decode", STUCK)),
        ("network", SHORT_MARGIN + replacing("hard.mqtt.acks.Acks.received", STUCK)),
    ],
)
def test_whichever_stage_is_stuck_the_process_ends_with_1(mosquitto: Mosquitto, stage: str, code: str) -> None:
    overrides = ("grace_s=0", "stuck_after_s=2", "ingest.max_queued_messages=4")
    with Listener(mosquitto) as listener, daemon(mosquitto.port, *overrides, code=code) as running:
        running.ready()
        send(listener, range(10))
        assert running.wait(120) == 1
        eventually(lambda: f"the {stage} thread is stuck" in running.log)


@pytest.mark.slow
def test_a_network_thread_that_no_longer_tries_to_connect_is_stuck_too() -> None:
    """Without a broker it may wait between attempts and for each, and not for ever."""
    code = SHORT_MARGIN + replacing("hard.daemon.wiring.CONNECT_S", "2")
    code += replacing("hard.mqtt.backoff.Backoff.failed", STUCK)
    with daemon(free_port(), "grace_s=0", "mqtt.keepalive_s=5", code=code) as running:
        running.ready(broker=False)
        assert running.wait(120) == 1
        eventually(lambda: "the network thread is stuck" in running.log)


def test_the_journal_gets_levels_as_numbers(mosquitto: Mosquitto) -> None:
    code = "import os\nerr = os.fstat(2)\nos.environ['JOURNAL_STREAM'] = f'{err.st_dev}:{err.st_ino}'"
    with daemon(mosquitto.port, code=code) as running:
        running.ready()
        assert running.stop() == 0
        assert {line[:3] for line in running.lines} == {"<6>"}
        assert any(line.startswith("<6>hard.daemon.daemon: ready") for line in running.lines)


def test_a_reload_is_notified_and_a_stop_then_asks_for_the_new_time(mosquitto: Mosquitto, tmp_path: Path) -> None:
    config = tmp_path / "hard.toml"
    config.write_text("")
    code = f"import sys\nsys.argv += ['--config', {str(config)!r}]"
    with service(mosquitto.port, tmp_path, code=code) as (notify, running):
        running.ready()
        config.write_text("grace_s = 50")
        running.send_signal(signal.SIGHUP)
        eventually(lambda: notify.notifications.count("READY=1") == 2)
        assert [word for word in notify.notifications if word.startswith("RELOADING=1\nMONOTONIC_USEC=")]
        assert running.stop() == 0
        eventually(lambda: notify.notifications[-1] == "STOPPING=1\nEXTEND_TIMEOUT_USEC=60000000")


def test_a_reload_is_notified_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with NotifySocket(tmp_path / "notify") as notify:
        systemd.reloading()
        systemd.ready()
        eventually(lambda: len(notify.notifications) == 2)
    state, when = notify.notifications[0].split("\n")
    assert (state, notify.notifications[1]) == ("RELOADING=1", "READY=1")
    assert 0 < int(when.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_without_a_listener_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("", str(tmp_path / "nobody"), "@nobody-at-all", "relative"):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        systemd.ready()


def test_keep_alives_come_four_times_an_interval_and_without_a_watchdog_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with NotifySocket(tmp_path / "notify") as notify:
        with_watchdog, without = systemd.Notifier(8.0), systemd.Notifier(None)
        for now in range(11):
            without.keep_alive(now)
            with_watchdog.keep_alive(now)
        systemd.status("the end")
        eventually(notify.statuses)
        assert notify.notifications == [*["WATCHDOG=1"] * 6, "STATUS=the end"]


def test_a_status_line_is_due_at_once_on_a_new_topic_and_else_at_a_limited_rate() -> None:
    notifier = systemd.Notifier(None)
    due = [notifier.status_due(now, topic) for now, topic in ((0, ""), (9, ""), (10, ""), (11, "bad"), (12, "bad"))]
    assert due == [True, False, True, True, False]


@pytest.mark.parametrize(
    ("usec", "pid", "interval_s"),
    [
        ("60000000", None, 60.0),
        ("60000000", os.getpid(), 60.0),
        ("60000000", 1, None),
        ("0", None, None),
        ("many", None, None),
        (None, None, None),
    ],
)
def test_the_interval_counts_only_where_it_is_meant_for_this_process(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: int | None, interval_s: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(value))
    assert systemd.watchdog_interval_s() == interval_s
