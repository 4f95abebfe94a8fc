"""`hard health` against a real daemon and a real broker, and its verdict on what it reads."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import msgspec
import pytest
from support.daemon import ROOT, batch, daemon, labels
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto

from hard.commands.health import assess, screen
from hard.commands.processes import free_port


def ask(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hard", "health", "--set", "mqtt.host=127.0.0.1", "--set", f"mqtt.port={port}"]
    return subprocess.run([*command, *options], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)


def record(**changes: Any) -> bytes:
    """A health payload as the daemon writes it, with changes."""
    counters = {"messages": {}, "samples": {}, "windows": {}}
    sound = {
        "version": "1", "model": "m", "instance": "", "at": 1000.0, "every_s": 60.0, "uptime_s": 1.0, "rss_bytes": 1,
        "devices": {"known": 2, "active": 1}, "device_problems": {"counts": {"unit": 1}, "worst": {"d": ["unit"]}},
        "rates": {"messages": 1, "samples": 1, "labels": 1},
        "queues": {"messages": 0, "windows": 0, "outbox": 0}, "latency_s": {"p50": None, "p99": None},
        "journal": {"durability": "journal", "writing": True, "problem": ""},
        "subscribed": True, "balanced": True, "problems": [], "accounting": counters,
    }  # fmt: skip
    return msgspec.json.encode({**sound, **changes})


def test_a_daemon_at_work_is_healthy_and_a_stopped_one_is_not(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port, "publish.health_every_s=1") as running:
        running.ready()
        start = time.time() - 60
        for second in range(6):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 3)
        eventually(lambda: '"published":3' in listener.last.get("hard/health", b"").decode())
        done = ask(mosquitto.port)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("healthy\nversion   ")
        assert "windows   3 closed, 3 published" in done.stdout
        done = ask(mosquitto.port, "--json")
        verdict = json.loads(done.stdout)
        assert (done.returncode, verdict["healthy"], verdict["problems"], verdict["status"]) == (0, True, [], "online")
        assert set(verdict["health"]) == set(json.loads(listener.last["hard/health"]))
        assert running.stop() == 0
        eventually(lambda: listener.last["hard/status"] == b"offline")
        done = ask(mosquitto.port)
        assert (done.returncode, done.stdout) == (1, "unhealthy: the daemon is offline\n")


@pytest.mark.slow
def test_a_named_instance_is_found_by_its_name(mosquitto: Mosquitto) -> None:
    with daemon(mosquitto.port, "instance=north") as running:
        running.ready()
        assert ask(mosquitto.port, "--set", "instance=north").returncode == 0
        done = ask(mosquitto.port)
        assert (done.returncode, done.stdout) == (
            1,
            "unhealthy: no daemon has published its status on this broker under this name\n",
        )


@pytest.mark.slow
def test_a_stuck_stage_is_reported_before_the_next_record_is_due(mosquitto: Mosquitto) -> None:
    code = "import threading\nfrom hard.model.classifier import Classifier\n"
    code += "Classifier.classify = lambda *_: threading.Event().wait()"
    overrides = ("grace_s=0", "stuck_after_s=120")
    with Listener(mosquitto) as listener, daemon(mosquitto.port, *overrides, code=code) as running:
        running.ready()
        start = time.time() - 60
        for second in range(6):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: json.loads(listener.last.get("hard/health", b'{"problems": []}'))["problems"])
        done = ask(mosquitto.port)
        assert done.returncode == 1
        assert done.stdout.startswith("unhealthy: label has made no progress for ")


def test_a_broker_that_is_not_there_is_one_sentence_also_in_json() -> None:
    port = free_port()
    sentence = f"no broker answers at 127.0.0.1:{port} (Connection refused)"
    done = ask(port)
    assert (done.returncode, done.stdout, done.stderr) == (1, f"unhealthy: {sentence}\n", "")
    done = ask(port, "--json")
    assert (done.returncode, json.loads(done.stdout)["problems"]) == (1, [sentence])


def test_bad_settings_exit_2() -> None:
    done = ask(1, "--set", "mqtt.nonsense=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "mqtt.nonsense" in done.stderr


@pytest.mark.parametrize(
    ("status", "payload", "now", "problem"),
    [
        (None, record(), 1001, "no daemon has published its status"),
        ("offline", record(), 1001, "the daemon is offline"),
        ("online", None, 1001, "has not published its health"),
        ("online", b"{}", 1001, "of another version"),
        ("online", record(), 1151, "last health record is 151 s old, though one is due every 60 s"),
        ("online", record(problems=["it hurts"]), 1001, "it hurts"),
    ],
)
def test_what_is_wrong_is_a_sentence(status: str | None, payload: bytes | None, now: float, problem: str) -> None:
    found = assess(status, payload, now)
    assert not found.healthy
    assert problem in "; ".join(found.problems)
    assert problem in next(screen(found, now))


@pytest.mark.parametrize("now", [900, 1001, 1149])
def test_a_recent_record_without_problems_is_healthy_whatever_the_clocks_differ(now: float) -> None:
    assert assess("online", record(), now).healthy
