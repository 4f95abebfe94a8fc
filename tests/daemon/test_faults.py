"""What a fault costs: the daemon as a process without a disk, without descriptors, with broken parts and input."""

from __future__ import annotations

import json
import random
import resource
import time
from pathlib import Path

import pytest
from soak.fuzz import mutated
from support.daemon import batch, daemon, discrepancies, labels, replacing
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto

from hard.commands.processes import free_port


@pytest.mark.parametrize("how", ["in the way", "full"])
def test_without_a_usable_state_directory_it_goes_on_and_says_so(
    mosquitto: Mosquitto, tmp_path: Path, how: str
) -> None:
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
        pid, limits = running.pid, resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        for second in range(5, 10):  # what is open still works
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 7)
        mosquitto.stop(kill=True)
        mosquitto.start()
        eventually(lambda: "Too many open files" in running.log)
        assert running.exit_code is None
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        eventually(lambda: running.metrics()["hard_broker_subscribed"] == 1)
        assert running.metrics()["hard_journal_writing"] == 1
        assert running.stop() == 0


@pytest.mark.slow
def test_a_network_thread_that_dies_on_its_own_ends_the_process_with_1() -> None:
    code = "import socket\ndef fail(*_, **__): raise UnicodeError\nsocket.create_connection = fail"  # no OSError
    with daemon(free_port(), code=code) as running:
        assert running.wait(60) == 1
        eventually(lambda: "the network thread is dead" in running.log)


@pytest.mark.parametrize(
    ("broken", "failure"),
    [
        ("hard.pipeline.window_queue.WindowQueue.take", "the label thread is dead: division by zero"),
        ("hard.pipeline.window_queue.WindowQueue.put", "the assemble thread is dead: division by zero"),
        ("hard.mqtt.acks.Acks.received", "the network thread failed: division by zero"),
    ],
    ids=["label", "assemble", "network"],
)
def test_a_dead_worker_ends_the_process_with_1(mosquitto: Mosquitto, broken: str, failure: str) -> None:
    code = replacing(broken, "lambda *_: 1 / 0")
    with Listener(mosquitto) as listener, daemon(mosquitto.port, "grace_s=1", code=code) as running:
        eventually(lambda: "ready" in running.log or running.exit_code is not None, 120)
        start = time.time() - 10
        for second in range(6):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        assert running.wait(60) == 1
        eventually(lambda: failure in running.log)


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
    """The process lives, its counters balance, and honest devices are labelled throughout."""
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
