"""`hard doctor` on a real broker: what it prints, its exit codes, and the way from its lines to right labels."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.daemon import ROOT
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto
from support.planted import MISTAKES, heard, singles, written

from hard import cli
from hard.commands.doctor import as_object, diagnose, listen, shown
from hard.commands.processes import Process
from hard.commands.sender_lines import propose
from hard.formats.native_json import write
from hard.mqtt.simple_client import SimpleClient
from hard.settings import load
from hard.simulator import Wearer
from hard.units import G_MS2

RATE = 50
BOOTED = time.time() - 5


def nested(t: float, x: float, y: float, z: float) -> object:
    return {"t": t, "m": {"x": x, "y": y, "z": z}}


# A topic, and how a second of a wearer is sent there. Each needs other settings than the default ones.
SENDERS: dict[str, tuple[str, Any]] = {
    "in-g": ("sensors/in-g/accel", lambda t, a: [write(t, a / G_MS2, RATE)]),
    "lines": ("sensors/lines/accel", written("csv")),
    "bytes": ("sensors/bytes/accel", written("int16")),
    "phone": ("sensors/phone/accel", written("phyphox")),
    "logger": ("sensors/logger/accel", written("sensorlogger")),
    "nested": ("sensors/nested/accel", lambda t, a: singles(t, a, nested)),
    "board": ("sensors/board/accel", lambda t, a: [write(t - BOOTED, a, RATE)]),
    "fast": ("sensors/fast/accel", lambda t, a: [write(t, a, RATE).replace(b'"rate":50', b'"rate":30')]),
    "away": ("home/away/accel", lambda t, a: [write(t, a, RATE)]),
}  # fmt: skip


@contextmanager
def sending(mosquitto: Mosquitto) -> Iterator[None]:
    """All senders walk, in real time, while the block runs."""
    stop, begin = threading.Event(), time.time()
    wearers = {name: Wearer(seed, float(RATE), start=begin, among=("Walking",)) for seed, name in enumerate(SENDERS)}

    def send() -> None:
        with SimpleClient(mosquitto.address) as client:
            second = 0
            while not stop.wait(max(0.0, begin + second + 1 - time.time())):
                for name, (topic, make) in SENDERS.items():
                    motion = wearers[name].take(RATE)
                    for payload in make(motion.time, motion.xyz):
                        client.publish(topic, payload)
                second += 1

    thread = threading.Thread(target=send, name="senders")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_a_daemon_with_the_lines_of_the_doctor_labels_what_it_could_not_read_before(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "hard.toml"
    doctor = ["doctor", "--config", str(config), "--seconds", "8"]
    command = [sys.executable, "-m", "hard", "run", "--config", str(config), "--set", "metrics.port=0"]
    with Listener(mosquitto, "hard/#") as listener, sending(mosquitto):
        assert cli.main([*doctor, "--broker", mosquitto.url, "--write", "--json"]) == 1
        found = json.loads(capsys.readouterr().out)["devices"]
        assert {facts["device"] for facts in found if facts["problems"]} == set(SENDERS)
        with Process("the daemon", command, tmp_path / "daemon.log", cwd=ROOT) as running:
            running.wait_for_log("ready:", 60)

            def labels() -> Counter[str]:
                activity = [json.loads(payload) for topic, payload in listener.all if topic.endswith("/activity")]
                return Counter(label["device"] for label in activity if label["label"] == "Walking")

            eventually(lambda: all(labels()[name] >= 5 for name in SENDERS))
            assert cli.main(doctor) == 0, capsys.readouterr().out
            assert "nothing is wrong" in capsys.readouterr().out
            assert "lost the connection" not in running.log
    given = [json.loads(payload)["label"] for topic, payload in listener.all if topic.endswith("/activity")]
    assert given.count("Walking") / len(given) > 0.8


def test_where_nothing_is_heard_it_says_so_with_exit_code_1(
    mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "--broker", mosquitto.url, "--seconds", "0.3"]) == 1
    assert capsys.readouterr().out.startswith("no samples came in 0.3 s: is the broker the one that")
    assert cli.main(["doctor", "--broker", mosquitto.url, "--seconds", "0.3", "--write"]) == 2
    assert "--write needs --config FILE" in capsys.readouterr().err


def test_it_hears_every_topic_and_tells_retained_messages_apart(mosquitto: Mosquitto) -> None:
    with SimpleClient(mosquitto.address) as client:
        client.publish("sensors/d/accel", b"old", retain=True)
        timer = threading.Timer(0.5, lambda: client.publish("somewhere/else", b"new"))
        timer.start()
        found = listen(mosquitto.address, ["sensors/+/accel"], 2.0)
        timer.join()
    assert (found["sensors/d/accel"].retained, found["sensors/d/accel"].messages) == (1, [])
    assert [message.payload for message in found["somewhere/else"].messages] == [b"new"]


def test_what_it_shows_of_a_device() -> None:
    settings = load()
    found = diagnose(heard(MISTAKES["raw counts"]), settings)
    lines = propose(found, settings)
    text = "\n".join(shown(found, lines, 30))
    for part in (
        "d (sensors/d/accel): 30 messages, 1500 samples", "format   json", "rate     50 Hz, a message each ",
        "unit     counts", "gravity  10.24 m/s², down is mostly along its +y axis", "clock    Unix times, -0.0",
        "gaps     none",
        "PROBLEM  raw_counts: gravity measures 1.711e+04, so it sends raw counts (ingest.scale=0.0005986)",
        "lines for hard.toml:", '[[devices]]\nmatch = "d"\nscale = 0.0005986',
    ):  # fmt: skip
        assert part in text
    made: Any = as_object(found, lines)
    assert made["devices"][0]["problems"][0]["setting"] == "ingest.scale=0.0005986"
    assert not made["healthy"]


def test_only_one_device_is_shown_where_it_is_named() -> None:
    both = heard(MISTAKES["g sent"]) | heard(MISTAKES["a topic that nothing reads"])
    assert len(diagnose(both, load())) == 1  # both topics name the device d, in patterns that HARD would read
    assert diagnose(both, load(), device="none") == []


def test_topics_of_a_shared_subscription_are_heard_without_taking_part() -> None:
    settings = load(None, ['ingest.topics=["$share/g/sensors/{device}/accel"]'])
    ((facts, sender),) = diagnose(heard(MISTAKES["g sent"]), settings)
    assert (facts.device, sender.pattern) == ("d", None)


def test_a_device_that_its_payload_names_is_matched_by_its_topic() -> None:
    settings = load(None, ['ingest.topics=["logger"]'])
    own = heard(MISTAKES["Sensor Logger"]).popitem()[1]
    own.messages = [type(m)("logger", m.payload, m.received_at, m.received_wall) for m in own.messages]
    ((facts, sender),) = diagnose({"logger": own}, settings)
    assert (facts.device, sender.match) == ("ph-1", "logger")
    assert propose([(facts, sender)], settings).devices == [{"match": "logger", "format": "sensorlogger"}]
