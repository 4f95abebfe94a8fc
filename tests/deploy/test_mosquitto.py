"""deploy/mosquitto on a real mosquitto, with real certificates: who may do what, what is kept, labels through it."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.daemon import batch, daemon
from support.guarded import DEPLOY, ROLES, Client, passwords, websocket_port
from support.listener import eventually
from support.mosquitto import Mosquitto

TOPICS = (
    "sensors/belt-7/accel", "sensors/wrist-1/accel", "sensors/hard/accel", "sensors/reader/accel",
    "hard/belt-7/activity", "hard/status", "homeassistant/device/x/config", "anything",
)  # fmt: skip
SAMPLES = {"sensors/belt-7/accel", "sensors/wrist-1/accel"}
LABELS = {"hard/belt-7/activity", "hard/status"}
WRITES = {"belt-7": {"sensors/belt-7/accel"}, "wrist-1": {"sensors/wrist-1/accel"}, "hard": LABELS, "reader": set()}
READS = {"belt-7": set(), "wrist-1": set(), "hard": SAMPLES | LABELS | {"sensors/reader/accel"}, "reader": LABELS}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_writes_its_own_and_nothing_else(guarded: Mosquitto, role: str) -> None:
    with Client(guarded, "observer") as observer, Client(guarded, role) as client:
        observer.subscribe("#")
        for topic in TOPICS:
            client.publish(topic, role)
        observer.publish("end", "end")
        eventually(lambda: ("end", b"end") in observer.came)
        assert {topic for topic, payload in observer.came if payload == role.encode()} == WRITES[role]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reads_its_own_and_nothing_else(guarded: Mosquitto, role: str) -> None:
    with Client(guarded, "observer") as observer, Client(guarded, role) as client:
        client.subscribe("#", "sensors/#", "hard/#", *TOPICS)
        for topic in TOPICS:
            observer.publish(topic, "x")
        allowed = READS[role]
        eventually(lambda: {topic for topic, _ in client.came} >= allowed)
        client.publish("sensors/none/of/its", "x")  # its answer comes after whatever was on the way
        assert {topic for topic, _ in client.came} == allowed


def test_a_client_needs_tls_and_a_password(guarded: Mosquitto) -> None:
    with Client(guarded, "reader", "wrong") as client:
        assert client.answer.is_failure
    with Client(guarded, "unknown-user") as client:
        assert client.answer.is_failure
    plain = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    answers: list[Any] = []
    ended: list[Any] = []
    plain.on_connect = lambda *arguments: answers.append(arguments)
    plain.on_disconnect = lambda *arguments: ended.append(arguments)
    plain.connect(guarded.host, guarded.port)
    plain.loop_start()
    eventually(lambda: ended)
    plain.loop_stop()
    assert answers == []
    with (
        socket.create_connection((guarded.host, guarded.port)) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
        ssl.create_default_context().wrap_socket(raw, server_hostname="localhost"),
    ):
        pass  # another authority's clients don't trust it


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_hard_labels_through_it(guarded: Mosquitto, transport: str) -> None:
    port = guarded.port if transport == "tcp" else websocket_port(guarded)
    (guarded.folder / "password").write_text("hard-secret\n")
    overrides = (
        "mqtt.tls=true", "mqtt.username=hard", f"mqtt.password_file={guarded.folder}/password",
        f"mqtt.ca_file={guarded.folder}/certs/ca.pem", f"mqtt.transport={transport}",
    )  # fmt: skip
    with (
        Client(guarded, "reader") as reader,
        Client(guarded, "belt-7") as sensor,
        daemon(port, *overrides) as running,
    ):
        reader.subscribe("hard/#")
        running.ready()
        start = time.time() - 60
        for second in range(6):
            sensor.publish("sensors/belt-7/accel", batch(start + second))
        eventually(lambda: [topic for topic, _ in reader.came].count("hard/belt-7/activity") == 3)
        eventually(lambda: {"hard/belt-7/state", "hard/health", "hard/status"} <= {topic for topic, _ in reader.came})
        assert running.stop() == 0
        assert "WARNING" not in running.log


def test_home_assistant_may_connect_with_the_lines_for_it(guarded: Mosquitto) -> None:
    guarded.stop()
    rights, passwords_ = guarded.folder / "hard.acl", guarded.folder / "hard.passwords"
    text, n = re.subn(r"^#(?=user |topic )", "", rights.read_text(), flags=re.M)
    assert n == 6
    rights.write_text(text)
    passwords(passwords_, "homeassistant")
    guarded.start()
    (guarded.folder / "password").write_text("hard-secret\n")
    overrides = (
        "publish.homeassistant=true", "mqtt.tls=true", "mqtt.username=hard",
        f"mqtt.password_file={guarded.folder}/password", f"mqtt.ca_file={guarded.folder}/certs/ca.pem",
    )  # fmt: skip
    with (
        Client(guarded, "homeassistant") as home,
        Client(guarded, "belt-7") as sensor,
        daemon(guarded.port, *overrides) as running,
    ):
        home.subscribe("homeassistant/#", "hard/#")
        running.ready()
        start = time.time() - 60
        for second in range(6):
            sensor.publish("sensors/belt-7/accel", batch(start + second))
        eventually(lambda: any(topic.startswith("homeassistant/device/") for topic, _ in home.came))
        came = len(home.came)
        home.publish("homeassistant/status", "online")
        announced = lambda: any(topic.startswith("homeassistant/device/") for topic, _ in home.came[came:])  # noqa: E731
        eventually(announced)  # HARD has read it, and announces again
        assert running.stop() == 0


def offline(broker: Mosquitto, messages: int) -> int:
    """Messages sent for an absent session, over a broker killed meanwhile; how many it gets when it returns."""
    options: dict[str, Any] = {"client_id": "away", "clean_session": False}
    with Client(broker, "observer", **options) as away:
        away.subscribe("sensors/#")
    with Client(broker, "observer") as sender:
        for n in range(messages):
            info = sender.client.publish("sensors/belt-7/accel", str(n), qos=1)
        info.wait_for_publish(30)
    broker.stop()  # cleanly: what is saved before a kill is another test's
    broker.start()
    with Client(broker, "observer", **options) as back:
        back.subscribe("end")
        eventually(lambda: ended(back))
        return [topic for topic, _ in back.came].count("sensors/belt-7/accel")


def ended(client: Client) -> bool:
    """Whether all that waited has come: what is sent now comes after it, or is dropped while the queue is full."""
    client.client.publish("end", b"", qos=1)
    time.sleep(0.2)
    return ("end", b"") in client.came


@pytest.mark.slow
def test_messages_that_the_defaults_lose_are_kept(guarded: Mosquitto) -> None:
    messages = 3000
    assert offline(guarded, messages) == messages
    kept = ("persistence", "autosave", "max_", "persistent")
    guarded.stop()
    guarded.config = [line for line in guarded.config if not line.startswith(kept)]
    guarded.start()
    assert offline(guarded, messages) == 0  # no persistence, mosquitto's own default
    guarded.stop()
    guarded.config += ["persistence true"]
    guarded.start()
    assert offline(guarded, messages) == 1000  # Debian's


@pytest.mark.slow
def test_a_killed_broker_keeps_what_is_older_than_the_save_interval(guarded: Mosquitto) -> None:
    with Client(guarded, "observer") as client:
        client.client.publish("hard/status", b"online", qos=1, retain=True).wait_for_publish(15)
    store = guarded.folder / "mosquitto.db"
    eventually(lambda: store.exists() and b"online" in store.read_bytes())
    guarded.stop(kill=True)
    guarded.start()
    with Client(guarded, "observer") as client:
        client.subscribe("hard/status")
        eventually(lambda: client.came == [("hard/status", b"online")])


def test_the_documented_commands_make_valid_certificates(guarded: Mosquitto, tmp_path: Path) -> None:
    """The README's own lines, run as they stand, make a chain that strict checks accept and mosquitto serves."""
    commands = re.findall(r"```sh\n(openssl.*?)```", (DEPLOY / "README.md").read_text(), flags=re.S)[0]
    folder = tmp_path / "authority"
    folder.mkdir()
    subprocess.run(["sh", "-euc", commands], cwd=folder, check=True, capture_output=True, timeout=120)
    verify = ["openssl", "verify", "-x509_strict", "-verify_ip", "127.0.0.1", "-CAfile", "ca.pem", "server.pem"]
    subprocess.run(verify, cwd=folder, check=True, capture_output=True, timeout=60)
    guarded.stop()
    for name in ("ca.pem", "server.pem", "server.key"):
        (guarded.folder / "certs" / name).write_bytes((folder / name).read_bytes())
    guarded.start()
    with Client(guarded, "reader") as reader:
        assert not reader.answer.is_failure
