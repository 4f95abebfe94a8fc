"""The daemon as a process, on a real mosquitto: labels, counters, signals, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.daemon import ACCEPT_ALL, FIELDS, ROOT, batch, daemon, discrepancies, labels
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto

from hard.commands.processes import free_port


def test_labels_expire_and_states_do_not(mosquitto: Mosquitto) -> None:
    with daemon(mosquitto.port, "mqtt.protocol=5", "publish.expiry_s=500") as running:
        running.ready()
        expiry: dict[str, int | None] = {}
        reader = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        subscribed = threading.Event()
        reader.on_connect = lambda c, *_: c.subscribe("hard/#", 1)
        reader.on_subscribe = lambda *_: subscribed.set()
        reader.on_message = lambda _c, _d, m: expiry.update(
            {m.topic: getattr(m.properties, "MessageExpiryInterval", None)}
        )
        reader.connect(mosquitto.host, mosquitto.port)
        reader.loop_start()
        assert subscribed.wait(60)
        start = time.time() - 10
        for second in range(5):
            reader.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
        eventually(lambda: {"hard/a/activity", "hard/a/state", "hard/status"} <= set(expiry))
        reader.disconnect()
        reader.loop_stop()
    assert 400 < (expiry["hard/a/activity"] or 0) <= 500
    assert expiry["hard/a/state"] is None
    assert expiry["hard/status"] is None


def test_samples_become_labels_with_every_field(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port, *ACCEPT_ALL) as running:
        running.ready()
        start, begun = time.time() - 10, time.monotonic()
        for second in range(8):
            listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 5)
        given, took_s = labels(listener, "a"), time.monotonic() - begun
        assert [round(label["start"] - start, 3) for label in given] == [0, 1, 2, 3, 4]
        for label in given:
            assert set(label) == FIELDS
            assert label["end"] == pytest.approx(label["start"] + 4)
            assert label["window_id"] == f"a:{round(label['end'] * 1000)}"
            assert label["label"] == max(label["probabilities"], key=label["probabilities"].get)
            assert label["confidence"] == label["probabilities"][label["label"]]
            assert sum(label["probabilities"].values()) == pytest.approx(1, abs=1e-3)
            assert 0 <= label["latency_s"]["queue"] <= label["latency_s"]["total"] < took_s
            assert (label["accepted"], label["coverage"], label["degraded"], label["replayed"]) == (
                True,
                1.0,
                False,
                False,
            )
            assert np.linalg.norm(label["up"]) == pytest.approx(1, abs=1e-3)
            assert -10 - took_s < label["clock_offset_s"] < 0
        state = json.loads(listener.last["hard/a/state"])
        assert set(state) == {"label", "since", "confidence"}
        assert running.stop() == 0
        eventually(lambda: listener.last["hard/status"] == b"offline")
        health = json.loads(listener.last["hard/health"])
        assert health["balanced"]
        assert health["accounting"]["windows"]["published"] == 5
        assert health["accounting"]["samples"]["decoded"] == 160


def test_every_format_and_unit_gives_the_same_labels(mosquitto: Mosquitto) -> None:
    g = 9.80665
    start = round(time.time()) - 10
    native = [json.loads(batch(start + s, seed=s)) for s in range(5)]
    samples = [[(n["t0"] + i / 20, *xyz) for i, xyz in enumerate(n["xyz"])] for n in native]  # seconds of (t, x, y, z)
    columns = [dict(zip("txyz", zip(*second, strict=True), strict=True)) for second in samples]
    single = [dict(zip("txyz", sample, strict=True)) for second in samples for sample in second]
    csv = ["\n".join(f"{t * 1000},{x / g},{y / g},{z / g}" for t, x, y, z in second) for second in samples]
    results = []
    for overrides, streams in (
        (
            (),
            {"native": map(json.dumps, native), "columns": map(json.dumps, columns), "single": map(json.dumps, single)},
        ),
        (("ingest.format=csv", "ingest.unit=g", "ingest.time_unit=ms"), {"csv": csv}),
    ):
        with Listener(mosquitto) as listener, daemon(mosquitto.port, *overrides) as running:
            running.ready()
            for device, payloads in streams.items():
                for payload in payloads:
                    listener.client.publish(f"sensors/{device}/accel", payload, qos=1)
                eventually(lambda device=device: len(labels(listener, device)) == 2)
                results.append([label["probabilities"] for label in labels(listener, device)])
            assert running.stop() == 0
    for other in results[1:]:
        for mine, first in zip(other, results[0], strict=True):
            assert mine == pytest.approx(first, abs=0.02)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_finishes_what_is_pending(mosquitto: Mosquitto, how: int) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port, "grace_s=40") as running:
        running.ready()
        start = time.time() - 60
        for second in range(30):
            for device in range(10):
                listener.client.publish(f"sensors/d{device}/accel", batch(start + second), qos=1)
        eventually(lambda: len(listener.all) > 20)
        assert running.stop(how) == 0
        assert "balance" not in running.log
        eventually(lambda: listener.last["hard/status"] == b"offline")
        health = json.loads(listener.last["hard/health"])
        windows = health["accounting"]["windows"]
        assert health["balanced"]
        assert windows["in_flight"] == 0
        assert windows["published"] == windows["closed"]
        activity = [topic for topic, _ in listener.all if topic.endswith("/activity")]
        assert len(activity) == windows["published"]


def test_a_killed_daemon_is_offline_by_its_last_will(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port) as running:
        running.ready()
        eventually(lambda: listener.last.get("hard/status") == b"online")
        running.stop(signal.SIGKILL)
        eventually(lambda: listener.last["hard/status"] == b"offline")


def test_it_is_ready_without_a_broker_and_stops_cleanly() -> None:
    with daemon(free_port()) as running:
        running.ready(broker=False)
        assert running.stop() == 0


def test_low_coverage_is_counted_and_not_labelled(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port) as running:
        running.ready()
        start = time.time() - 100
        for second in range(10):  # half of each second is missing
            listener.client.publish("sensors/a/accel", batch(start + second, seconds=0.5), qos=1)
        eventually(lambda: running.metrics()['hard_windows_total{outcome="low_coverage"}'] >= 5)
        assert labels(listener, "a") == []
        assert not any(discrepancies(running).values())


def test_below_min_confidence_a_label_is_not_accepted_and_the_state_unknown(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port, "labels.min_confidence=1") as running:
        running.ready()
        start = time.time() - 100
        for second in range(6):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 3)
        assert not any(label["accepted"] for label in labels(listener, "a"))
        eventually(lambda: json.loads(listener.last["hard/a/state"])["label"] == "unknown")


def test_a_silent_device_is_unknown_and_a_forgotten_one_leaves_nothing(mosquitto: Mosquitto) -> None:
    overrides = (*ACCEPT_ALL, "ingest.silent_after_s=1", "ingest.forget_after_s=3")
    with Listener(mosquitto) as listener, daemon(mosquitto.port, *overrides) as running:
        running.ready()
        start = time.time() - 100
        for second in range(5):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: listener.last.get("hard/a/state") == b"")
        *states, gone = [payload for topic, payload in listener.all if topic == "hard/a/state"]
        assert (json.loads(states[0])["label"] != "unknown", json.loads(states[-1])["label"], gone) == (
            True,
            "unknown",
            b"",
        )
        assert running.metrics()["hard_devices"] == 0
        assert not any(discrepancies(running).values())


@pytest.mark.parametrize(
    "override",
    [
        "mqtt.port=0",
        "mqtt.nonsense=1",
        "model.bundle=/nowhere",
        "mqtt.password_file=/nowhere",
        f"mqtt.password_file={sys.executable}",
        "ingest.topics=[]",
        "labels.hop_s=200000",
    ],
)
@pytest.mark.parametrize("command", ["run", "check-config"])
def test_bad_settings_and_bundles_exit_2_with_one_sentence(command: str, override: str) -> None:
    extra = ("--set", "mqtt.username=u") if "password" in override else ()
    done = subprocess.run(
        [sys.executable, "-m", "hard", command, "--set", override, *extra],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("host", "code"), [("127.0.0.1", 1), ("no-such-host.invalid", 2)])
def test_a_metrics_port_in_use_may_pass_and_a_host_that_is_none_is_a_bad_setting(
    mosquitto: Mosquitto, host: str, code: int
) -> None:
    with daemon(mosquitto.port, f"metrics.port={mosquitto.port}", f"metrics.host={host}") as running:
        assert running.wait(60) == code
        eventually(lambda: "metrics.port" in running.log)
        assert "Traceback" not in running.log
