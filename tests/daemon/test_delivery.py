"""Nothing is lost over stops, kills and outages: the daemon as a process, on a real mosquitto."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from support.daemon import ACCEPT_ALL, Running, batch, daemon, discrepancies, labels, replacing
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto

from hard.model import bundle


def test_what_was_sent_while_the_daemon_was_away_is_labelled_later(mosquitto: Mosquitto) -> None:
    start = time.time() - 60
    with Listener(mosquitto) as listener:
        with daemon(mosquitto.port, "mqtt.client_id=stable") as running:
            running.ready()
            assert running.stop() == 0
        for second in range(6):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        with daemon(mosquitto.port, "mqtt.client_id=stable"):
            eventually(lambda: len(labels(listener, "a")) == 3)


def test_a_backlog_larger_than_every_queue_is_labelled_whole(mosquitto: Mosquitto) -> None:
    mosquitto.reconfigure("max_queued_messages 10000", "max_inflight_messages 10")
    seconds, start = 500, time.time() - 3000
    options = ("mqtt.client_id=stable", "ingest.max_queued_messages=30", "model.max_pending_per_device=5")
    options += ("model.max_age_s=600",)  # on a slow machine it is a backlog all the same, and no overload
    with Listener(mosquitto) as listener:
        with daemon(mosquitto.port, *options) as running:
            running.ready()
            assert running.stop() == 0
        for second in range(seconds):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        with daemon(mosquitto.port, *options) as running:
            eventually(lambda: len(labels(listener, "a")) == seconds - 3, 120)
            assert running.ready().metrics()['hard_messages_total{outcome="shed"}'] == 0
        ends = [label["end"] for label in labels(listener, "a")]
        assert ends == sorted(ends)


def published(listener: Listener, topic: str) -> list[dict[str, Any]]:
    """What came on the topic, without what came twice in a row."""
    payloads = [payload for on, payload in listener.all if on == topic]
    return [json.loads(payload) for before, payload in pairwise([b"", *payloads]) if payload != before]


# Predicts three seconds of Walking, then three of Sitting, and so on, by the start of the window.
BY_TURNS = """
import hard.model.classifier as c
from dataclasses import replace
real = c.Classifier.classify
def by_turns(self, windows, lock=None):
    found = []
    for prediction in real(self, windows, lock):
        label = ("Walking", "Sitting")[int(round(prediction.window.start)) // 3 % 2]
        probabilities = prediction.probabilities * 0 + 0.002
        probabilities[self.labels.index(label)] = 0.99
        found.append(replace(prediction, label=label, confidence=0.99, probabilities=probabilities))
    return found
c.Classifier.classify = by_turns
"""


@pytest.mark.parametrize("durability", ["journal", "snapshot"])
def test_a_stop_under_a_backlog_loses_nothing(mosquitto: Mosquitto, durability: str) -> None:
    """What isn't taken in stays with the broker, what isn't labelled is kept for the next start."""
    mosquitto.reconfigure("max_queued_messages 10000", "max_inflight_messages 0")
    slow = "import hard.model.classifier as c, time\nfirst = c.Classifier.classify\n"
    slow += "c.Classifier.classify = lambda *args: (time.sleep(0.3), first(*args))[1]"
    seconds, start = 500, time.time() - 3000
    options = ("mqtt.client_id=stable", f"state.durability={durability}", *ACCEPT_ALL, "model.max_pending_per_device=5")
    options += ("model.max_batch=1", "model.max_age_s=600", "grace_s=2")
    with Listener(mosquitto) as listener:
        with daemon(mosquitto.port, *options, code=BY_TURNS + slow) as running:
            running.ready()
            listener.client.publish("sensors/once/accel", batch(start), qos=0)
            for second in range(seconds):
                listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
            listener.client.publish("sensors/last/accel", batch(start), qos=0)
            eventually(lambda: running.metrics()["hard_messages_received_total"] == seconds + 2)
            assert running.stop() == 0
            assert "ERROR" not in running.log
        eventually(lambda: listener.last["hard/status"] == b"offline")
        health = json.loads(listener.last["hard/health"])
        messages = health["accounting"]["messages"]
        assert health["balanced"]
        assert messages["queued"] > 400, "they are the broker's"
        assert messages["decoded"] + messages["queued"] == seconds + 2
        assert health["accounting"]["samples"]["buffered"] > 0
        with daemon(mosquitto.port, *options[:4], "model.max_age_s=600", code=BY_TURNS) as running:
            eventually(lambda: len({label["start"] for label in labels(listener, "a")}) == seconds - 3, 60)
            assert "restored 3 devices" in running.log  # those at QoS 0 too, which the broker hasn't
            ends = [label["end"] for label in labels(listener, "a")]
            assert ends == sorted(ends)
            assert running.stop() == 0
        events = published(listener, "hard/a/event")
        assert [event["from"] for event in events] == [None, *(event["to"] for event in events[:-1])]
        assert len(events) > seconds / 5, "a state lasts three windows"
        assert events[-1]["to"] == json.loads(listener.last["hard/a/state"])["label"]


# Writes on standard error of how many windows the journal has just noted that the broker took their labels.
REPORTS_RESOLVED = """
import sys
from hard.journal.store import Store
write = Store.write
def reporting(self, group, **parts):
    write(self, group, **parts)
    if n := len(parts["resolved"]):
        print(n, "resolved", file=sys.stderr, flush=True)
Store.write = reporting
"""


def resolved(running: Running) -> int:
    """How many windows the journal has noted as resolved."""
    return sum(int(n) for n in re.findall(r"^(\d+) resolved$", running.log, flags=re.M))


def test_a_killed_daemon_goes_on_as_if_nothing_had_been(mosquitto: Mosquitto) -> None:
    start, seconds = time.time() - 100, 20
    options = ("mqtt.client_id=stable", "ingest.silent_after_s=3")

    def starts() -> list[int]:
        return sorted({round(label["start"] - start) for label in labels(listener, "a")})

    with Listener(mosquitto) as listener:
        for first in range(0, seconds, 5):
            before = len(starts())
            with daemon(mosquitto.port, *options, code=REPORTS_RESOLVED) as running:
                running.ready()
                for second in range(first, first + 5):
                    listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
                # Windows span the kill. The last messages are taken in and labelled, or sent again by the broker.
                eventually(lambda second=second: starts() == list(range(second - 2)))
                # It is written that the broker took them.
                eventually(lambda running=running, before=before: resolved(running) == len(starts()) - before)
                running.stop(signal.SIGKILL)
        given = labels(listener, "a")
        assert len(given) == seconds - 3, "each once"
        assert given[-1]["calibrated"]
        with daemon(mosquitto.port, *options) as running:
            running.ready()
            eventually(lambda: "restored 1 devices" in running.log)  # while it says ready, or after
            # It sent nothing since then.
            eventually(lambda: json.loads(listener.last["hard/a/state"])["label"] == "unknown")
            assert not any(discrepancies(running).values())
            assert running.stop() == 0
        health = json.loads(listener.last["hard/health"])
        assert (health["balanced"], health["problems"], health["journal"]["writing"]) == (True, [], True)


def test_a_mounting_outlives_a_change_of_the_windows_length(mosquitto: Mosquitto, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(bundle.find(), longer)
    manifest = bundle.read(longer).manifest
    bundle.write(longer, structs.replace(manifest, window=structs.replace(manifest.window, length_s=5.0)))
    start, given = time.time() - 100, []
    with Listener(mosquitto) as listener:
        for first, options in ((0, ()), (30, (f"model.bundle={longer}",))):
            with daemon(mosquitto.port, "mqtt.client_id=stable", *options) as running:
                running.ready()
                for second in range(first, first + 20):
                    listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
                eventually(lambda end=first + 20: end in [round(each["end"] - start) for each in labels(listener, "a")])
                assert running.stop() == 0
            given.append([label for label in labels(listener, "a") if round(label["start"] - start) >= first])
        health = json.loads(listener.last["hard/health"])
    before, after = given
    assert (before[0]["calibrated"], before[-1]["calibrated"], after[0]["calibrated"]) == (False, True, True)
    assert after[0]["end"] - after[0]["start"] == pytest.approx(5)
    assert np.dot(before[-1]["up"], after[0]["up"]) == pytest.approx(1, abs=0.01)
    assert health["journal"]["problem"] == "the settings of windows changed: only what was learnt of devices is kept"


def test_labels_that_the_broker_did_not_take_are_published_by_the_next_start(mosquitto: Mosquitto) -> None:
    """The daemon is killed while it labels."""
    start = time.time() - 100
    with Listener(mosquitto) as listener, daemon(mosquitto.port, "mqtt.client_id=stable") as running:
        running.ready()
        for second in range(3):
            listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
        eventually(lambda: mosquitto.acknowledgements("stable") == 3)  # so they are in the journal
        hold = replacing("hard.model.classifier.Classifier.classify", "lambda *_: time.sleep(99)")
        running.stop(signal.SIGKILL)
        with daemon(mosquitto.port, "mqtt.client_id=stable", code=hold) as holding:
            holding.ready()
            for second in range(3, 8):
                listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
            eventually(lambda: mosquitto.acknowledgements("stable") == 8)
            assert holding.metrics()['hard_messages_total{outcome="decoded"}'] == 8  # 3 from the journal
            holding.stop(signal.SIGKILL)
        assert labels(listener, "a") == []
        with daemon(mosquitto.port, "mqtt.client_id=stable") as again:
            again.ready()
            eventually(lambda: len(labels(listener, "a")) == 5)
            assert [label["replayed"] for label in labels(listener, "a")] == [True] * 5
            assert again.metrics()["hard_latency_seconds_count"] == 0
            assert again.metrics()["hard_messages_received_total"] == 0
            assert not any(discrepancies(again).values())


def test_a_broker_killed_and_restarted_goes_on(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port) as running:
        running.ready()
        start = time.time() - 100
        for second in range(5):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 2)
        mosquitto.stop(kill=True)
        mosquitto.start()
        eventually(lambda: running.metrics()["hard_broker_reconnects_total"] >= 1)
        eventually(lambda: running.metrics()["hard_broker_subscribed"] == 1)
        eventually(lambda: listener.subscriptions == 2)
        for second in range(5, 10):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: len({label["window_id"] for label in labels(listener, "a")}) == 7)
        eventually(lambda: listener.last.get("hard/status") == b"online")
        assert not any(discrepancies(running).values())


@pytest.mark.parametrize(
    ("written", "options"),
    [
        (True, ()),
        (True, ("labels.lag_s=2",)),
        (True, ("labels.smoothing=majority", "labels.smooth_windows=3")),
        (False, ("labels.lag_s=2",)),
    ],
)
def test_a_kill_loses_no_event_and_repeats_none_that_is_written(
    mosquitto: Mosquitto, written: bool, options: tuple[str, ...]
) -> None:
    """Device b sends the same as a, but its daemon is not killed."""
    start, seconds = float(round(time.time() - 100) // 6 * 6), 20
    options = ("mqtt.client_id=stable", *ACCEPT_ALL, *options)

    def send(device: str, first: int, last: int) -> None:
        for second in range(first, last):
            listener.client.publish(f"sensors/{device}/accel", batch(start + second, seed=second), qos=1)

    with Listener(mosquitto) as listener:
        for first in range(0, seconds, 5):
            before = len(labels(listener, "a"))
            with daemon(mosquitto.port, *options, code=BY_TURNS + REPORTS_RESOLVED) as running:
                running.ready()
                send("a", first, first + 5)
                eventually(lambda last=first + 2: len({one["end"] for one in labels(listener, "a")}) == last)
                if written:  # that the broker took the labels
                    own = len(labels(listener, "a")) - before
                    eventually(lambda running=running, own=own: resolved(running) == own)
                running.stop(signal.SIGKILL)
        for silent_after_s in (3, 1):  # the second time both are silent from the beginning
            with daemon(mosquitto.port, *options, f"ingest.silent_after_s={silent_after_s}", code=BY_TURNS) as running:
                running.ready()
                if silent_after_s == 3:
                    send("b", 0, seconds)
                for device in "ab":
                    eventually(lambda topic=f"hard/{device}/state": b"unknown" in listener.last.get(topic, b""))
                time.sleep(2)
                assert running.stop() == 0
    a, b = (published(listener, f"hard/{device}/event") for device in "ab")
    assert [event["from"] for event in b] == [None, *(event["to"] for event in b[:-1])]
    assert len(b) > 3
    assert b[-1]["at"] == start + seconds
    if written:
        assert a == b
        assert published(listener, "hard/a/state") == published(listener, "hard/b/state")
    assert list({json.dumps(event): event for event in a}.values()) == b
    assert listener.last["hard/a/state"] == listener.last["hard/b/state"]
