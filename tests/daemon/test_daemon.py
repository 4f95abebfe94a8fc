"""The daemon as a process, on a real mosquitto: labels, books, metrics, signals, exit codes."""

from __future__ import annotations

import json
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from soak.fuzz import mutated
from support.daemon import FIELDS, ROOT, Running, batch, daemon, discrepancies, labels
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
    with Listener(mosquitto) as listener, daemon(mosquitto.port) as running:
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


def test_what_was_sent_while_it_was_away_is_labelled_later(mosquitto: Mosquitto) -> None:
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


@pytest.mark.parametrize("durability", ["journal", "snapshot"])
def test_a_stop_under_a_backlog_loses_nothing(mosquitto: Mosquitto, durability: str) -> None:
    """What isn't taken in stays with the broker, what isn't labelled is kept for the next start."""
    mosquitto.reconfigure("max_queued_messages 10000", "max_inflight_messages 0")
    slow = "import hard.model.classifier as c, time\nfirst = c.Classifier.classify\n"
    slow += "c.Classifier.classify = lambda *args: (time.sleep(0.3), first(*args))[1]"
    seconds, start = 500, time.time() - 3000
    options = ("mqtt.client_id=stable", f"state.durability={durability}", "model.max_pending_per_device=5")
    options += ("model.max_batch=1", "model.max_age_s=600", "grace_s=2")
    with Listener(mosquitto) as listener:
        with daemon(mosquitto.port, *options, code=slow) as running:
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
        with daemon(mosquitto.port, *options[:2], "model.max_age_s=600") as running:
            eventually(lambda: len({label["start"] for label in labels(listener, "a")}) == seconds - 3, 60)
            assert "restored 3 devices" in running.log  # those at QoS 0 too: nobody else has them
            ends = [label["end"] for label in labels(listener, "a")]
            assert ends == sorted(ends)
            assert running.stop() == 0


# Tells on standard error how many windows the journal has just written as taken by the broker.
TELLS_WHAT_IS_SETTLED = """
import sys
from hard.journal.journal import Journal
drain, commit = Journal._drain, Journal.commit
def counted(self):
    ids = drain(self)
    self.told = len(ids)
    return ids
def told(self, devices):
    commit(self, devices)
    if self.told:
        sys.stderr.write(f"{self.told} settled\\n")
        sys.stderr.flush()
Journal._drain, Journal.commit = counted, told
"""


def settled(running: Running) -> int:
    return sum(int(n) for n in re.findall(r"^(\d+) settled$", running.log, flags=re.M))


def test_a_killed_daemon_goes_on_as_if_nothing_had_been(mosquitto: Mosquitto) -> None:
    start, seconds = time.time() - 100, 20
    options = ("mqtt.client_id=stable", "ingest.silent_after_s=3")

    def starts() -> list[int]:
        return sorted({round(label["start"] - start) for label in labels(listener, "a")})

    with Listener(mosquitto) as listener:
        for first in range(0, seconds, 5):
            before = len(starts())
            with daemon(mosquitto.port, *options, code=TELLS_WHAT_IS_SETTLED) as running:
                running.ready()
                for second in range(first, first + 5):
                    listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
                # Windows span the kill. The last messages are taken in and labelled, or sent again by the broker.
                eventually(lambda second=second: starts() == list(range(second - 2)))
                # It is written that the broker took them.
                eventually(lambda running=running, before=before: settled(running) == len(starts()) - before)
                running.stop(signal.SIGKILL)
        given = labels(listener, "a")
        assert len(given) == seconds - 3, "each once"
        assert given[-1]["calibrated"]
        with daemon(mosquitto.port, *options) as running:
            running.ready()
            eventually(lambda: "restored 1 devices" in running.log)  # while it says ready, or after
            # Nobody heard of it since: that is told.
            eventually(lambda: json.loads(listener.last["hard/a/state"])["label"] == "unknown")
            assert not any(discrepancies(running).values())
            assert running.stop() == 0
        health = json.loads(listener.last["hard/health"])
        assert (health["balanced"], health["problems"], health["journal"]["writing"]) == (True, [], True)


def test_labels_that_the_broker_did_not_take_are_published_by_the_next_start(mosquitto: Mosquitto) -> None:
    """The daemon is killed while it labels."""
    start = time.time() - 100
    with Listener(mosquitto) as listener, daemon(mosquitto.port, "mqtt.client_id=stable") as running:
        running.ready()
        for second in range(3):
            listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
        eventually(lambda: mosquitto.acknowledgements("stable") == 3)  # so they are in the journal
        hold = "import hard.model.classifier as c, time\nc.Classifier.classify = lambda *_: time.sleep(99)"
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


@pytest.mark.parametrize("how", ["in the way", "full"])
def test_without_a_usable_state_directory_it_goes_on_and_tells(mosquitto: Mosquitto, tmp_path: Path, how: str) -> None:
    code = None
    if how == "full":
        code = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    else:
        (tmp_path / "here").write_text("a file")
    options = (f"state.dir={tmp_path / 'here'}", "publish.health_every_s=1")
    with Listener(mosquitto) as listener, daemon(mosquitto.port, *options, code=code) as running:
        running.ready()
        start = time.time() - 200
        for second in range(100):
            listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 97)
        eventually(lambda: running.metrics()["hard_journal_writing"] == 0)
        eventually(lambda: json.loads(listener.last.get("hard/health", b"{}")).get("problems"))
        assert running.log.count("nothing is journaled") == 1
        assert not any(discrepancies(running).values())
        assert running.stop() == 0


def test_out_of_file_descriptors_it_goes_on_and_comes_back(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port) as running:
        running.ready()
        start = time.time() - 100
        for second in range(5):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 2)
        pid, limits = running.process.pid, resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        for second in range(5, 10):  # what is open still works
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 7)
        mosquitto.stop(kill=True)
        mosquitto.start()
        eventually(lambda: "Too many open files" in running.log)
        assert running.process.poll() is None
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        eventually(lambda: running.metrics()["hard_broker_subscribed"] == 1)
        assert running.metrics()["hard_journal_writing"] == 1
        assert running.stop() == 0


def test_a_killed_daemon_is_offline_by_its_last_will(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port) as running:
        running.ready()
        eventually(lambda: listener.last.get("hard/status") == b"online")
        running.stop(signal.SIGKILL)
        eventually(lambda: listener.last["hard/status"] == b"offline")


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
    overrides = ("ingest.silent_after_s=1", "ingest.forget_after_s=3")
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


@pytest.mark.slow
def test_a_network_thread_that_dies_on_its_own_ends_the_process_with_1() -> None:
    code = "import socket\ndef fail(*_, **__): raise UnicodeError\nsocket.create_connection = fail"  # no OSError
    with daemon(free_port(), code=code) as running:
        assert running.process.wait(60) == 1
        eventually(lambda: "the network thread is dead" in running.log)


@pytest.mark.parametrize(("host", "code"), [("127.0.0.1", 1), ("no-such-host.invalid", 2)])
def test_a_metrics_port_in_use_may_pass_and_a_host_that_is_none_is_a_bad_setting(
    mosquitto: Mosquitto, host: str, code: int
) -> None:
    with daemon(mosquitto.port, f"metrics.port={mosquitto.port}", f"metrics.host={host}") as running:
        assert running.process.wait(60) == code
        eventually(lambda: "metrics.port" in running.log)
        assert "Traceback" not in running.log


@pytest.mark.parametrize(
    "code",
    [
        "import hard.pipeline.window_queue as p\np.WindowQueue.take = lambda *_: 1 / 0",
        "import hard.pipeline.window_queue as p\np.WindowQueue.put = lambda *_: 1 / 0",
        "import hard.mqtt.acks as r\nr.Acks.came = lambda *_: 1 / 0",
    ],
    ids=["label", "assemble", "network"],
)
def test_a_dead_worker_ends_the_process_with_1(mosquitto: Mosquitto, code: str) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port, "grace_s=1", code=code) as running:
        eventually(lambda: "ready" in running.log or running.process.poll() is not None, 120)
        start = time.time() - 10
        for second in range(6):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        assert running.process.wait(60) == 1


def test_a_window_that_cannot_be_labelled_fails_alone(mosquitto: Mosquitto) -> None:
    code = """
from hard.model.classifier import Classifier
sound = Classifier.classify
def classify(self, windows, turn):
    if any(w.device == "bad" for w in windows):
        raise RuntimeError("no")
    return sound(self, windows, turn)
Classifier.classify = classify
"""
    with Listener(mosquitto) as listener, daemon(mosquitto.port, code=code) as running:
        running.ready()
        start = time.time() - 60
        for second in range(6):
            for device in ("bad", "good"):
                listener.client.publish(f"sensors/{device}/accel", batch(start + second), qos=1)
        eventually(lambda: len(labels(listener, "good")) == 3)
        eventually(lambda: running.metrics()['hard_windows_total{outcome="failed"}'] == 3)
        assert not any(discrepancies(running).values())
        assert running.stop() == 0


@pytest.mark.slow
def test_a_hundred_thousand_bad_payloads_harm_nothing(mosquitto: Mosquitto) -> None:
    """Alive, books balanced, and honest devices labelled throughout."""
    random_ = random.Random(20)
    mosquitto.reconfigure("max_inflight_messages 2000", "max_queued_messages 500000")
    with Listener(mosquitto, "hard/#") as listener, daemon(mosquitto.port) as running:
        running.ready()
        start, rounds, bad = time.time() - 200, 100, 1000
        for second in range(rounds):
            for _ in range(bad):
                listener.client.publish(*mutated(random_, batch(time.time(), seed=random_.randrange(50))), qos=1)
            for device in ("honest-1", "honest-2"):
                listener.client.publish(f"sensors/{device}/accel", batch(start + second), qos=1)
            # Honest devices are labelled between the bad ones, not after them: each has had its newest window's label.
            eventually(lambda second=second: len(labels(listener, "honest-1")) >= second - 2, 120)
        eventually(lambda: len(labels(listener, "honest-2")) == rounds - 3, 120)
        metrics = running.metrics()
        assert metrics["hard_messages_received_total"] >= rounds * bad
        assert sum(v for k, v in metrics.items() if k.startswith("hard_rejected_messages_total")) > 30_000
        assert not any(discrepancies(running).values())
        assert running.stop() == 0
        assert "balance" not in running.log
