"""What a real daemon says of devices that send what can't be right, and that it says so everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
from support.daemon import ACCEPT_ALL, daemon, labels
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto
from support.senders import DEVICE_TIME, stride

from hard.units import G_MS2

BATCH_S = 20


def batches(count: int, scale: float = 1.0, gravity: float = G_MS2) -> list[bytes]:
    """Messages of BATCH_S each: the daemon needs one to see what is wrong."""
    made = []
    for i in range(count):
        t = BATCH_S * i + np.arange(50 * BATCH_S) / 50
        xyz = (stride(t, gravity) * scale).round(4).tolist()
        made.append(json.dumps({"t0": DEVICE_TIME + BATCH_S * i, "rate": 50, "xyz": xyz}).encode())
    return made


def kinds(listener: Listener, device: str) -> list[str] | None:
    payload = listener.last.get(f"hard/{device}/diagnosis")
    return [problem["kind"] for problem in json.loads(payload)["problems"]] if payload else None


def health(port: int) -> tuple[int, dict[str, Any]]:
    broker = "--set", "mqtt.host=127.0.0.1", "--set", f"mqtt.port={port}"
    command = [sys.executable, "-m", "hard", "health", "--json", *broker]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout)


def test_devices_that_send_what_cannot_be_right_are_told_and_their_labels_not_accepted(mosquitto: Mosquitto) -> None:
    wrong = {
        "short": (batches(2, 1 / G_MS2), "unit"),
        "linear": (batches(2, gravity=0.0), "no_gravity"),
        "counts": (batches(2, 16384 / G_MS2), "raw_counts"),
        "broken": ([b"{", b"{"], "malformed"),
        "ms": ([json.dumps({"t0": DEVICE_TIME * 1000, "rate": 50, "xyz": [[0, 0, 9.8]]}).encode()], "time_unit"),
    }
    labels_of = ACCEPT_ALL
    overrides = "publish.health_every_s=1", "ingest.max_payload_bytes=200000", *labels_of
    with Listener(mosquitto) as listener, daemon(mosquitto.port, *overrides) as running:
        running.ready()
        listener.client.publish("sensors/kept/accel", batches(1)[0], qos=1, retain=True)
        for device, (payloads, _) in {**wrong, "well": (batches(2), "")}.items():
            for payload in payloads:
                listener.client.publish(f"sensors/{device}/accel", payload, qos=1)
        eventually(lambda: all(kinds(listener, device) == [kind] for device, (_, kind) in wrong.items()))
        eventually(lambda: kinds(listener, "well") == [])
        told = json.loads(listener.last["hard/short/diagnosis"])["problems"][0]
        assert told["setting"] == "ingest.unit=g"
        assert json.loads(listener.last["hard/ms/diagnosis"])["problems"][0]["setting"] == "ingest.time_unit=ms"
        eventually(lambda: json.loads(listener.last.get("hard/linear/state", b"{}")).get("label") == "unknown")
        for device, kind in (("short", "unit"), ("linear", "no_gravity")):
            eventually(lambda device=device: len(labels(listener, device)) == 2 * BATCH_S - 3)
            after = [label for label in labels(listener, device) if label["problems"]]
            assert len(after) >= BATCH_S - 1
            assert {(*label["problems"], label["accepted"]) for label in after} == {(kind, False)}
        assert all(label["accepted"] and not label["problems"] for label in labels(listener, "well"))
        metrics = running.metrics()
        assert metrics['hard_devices_with_problem{kind="unit"}'] == 1
        assert metrics['hard_devices_with_problem{kind="stuck"}'] == 0
        code, verdict = health(mosquitto.port)
        assert (code, verdict["healthy"]) == (1, False)
        assert "were of no use" in " ".join(verdict["problems"])
        assert verdict["health"]["device_problems"]["counts"]["unit"] == 1
        assert all(any(f" {device}: " in line for line in running.lines) for device in wrong)
        assert running.stop() == 0


def test_a_retained_message_gives_no_label_at_any_start(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener:
        listener.client.publish("sensors/d/accel", batches(1)[0], qos=1, retain=True).wait_for_publish(60)
        with daemon(mosquitto.port, "mqtt.client_id=first") as running:
            running.ready()
            eventually(lambda: kinds(listener, "d") == ["retained"])
            listener.client.publish("sensors/e/accel", batches(1)[0], qos=1)
            eventually(lambda: labels(listener, "e"))
            assert labels(listener, "d") == []
            assert "hard/d/state" not in listener.last
            assert running.metrics()["hard_devices"] == 1
            assert running.stop() == 0
