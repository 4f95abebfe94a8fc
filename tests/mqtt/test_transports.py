"""A real mosquitto over WebSockets and over a Unix socket: the small client, and the daemon from sample to label."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.daemon import batch, daemon
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto

from hard.errors import CommandError
from hard.mqtt.broker_address import BrokerAddress, parse_address
from hard.mqtt.simple_client import SimpleClient


def listening(mosquitto: Mosquitto, transport: str) -> BrokerAddress:
    """The broker, which listens on this transport too."""
    if transport == "websockets":
        return parse_address(mosquitto.with_websockets())
    socket = mosquitto.folder / "m.sock"
    mosquitto.reconfigure(f"listener 0 {socket}")
    eventually(socket.exists)
    return parse_address(f"unix:{socket}")


@pytest.mark.parametrize("transport", ["websockets", "unix"])
def test_messages_of_all_sizes_arrive(mosquitto: Mosquitto, transport: str) -> None:
    address = listening(mosquitto, transport)
    with SimpleClient(address, ("there/#",)) as listener, SimpleClient(address) as client:
        sent = [b"x" * size for size in (0, 100, 200, 70_000)]
        for payload in sent:
            client.publish("there/x", payload)
        assert [listener.received.get(timeout=30)[1] for _ in sent] == sent


@pytest.mark.parametrize("transport", ["websockets", "unix"])
def test_the_daemon_labels_and_says_offline(mosquitto: Mosquitto, transport: str) -> None:
    address = listening(mosquitto, transport)
    overrides = (f"mqtt.transport={transport}", f"mqtt.host={address.host}")
    with Listener(mosquitto) as listener, daemon(address.port, *overrides) as running, SimpleClient(address) as sensor:
        running.ready()
        start = time.time() - 60
        for second in range(6):
            sensor.publish("sensors/belt-7/accel", batch(start + second))
        eventually(lambda: [topic for topic, _ in listener.all].count("hard/belt-7/activity") == 3)
        assert running.stop() == 0
        eventually(lambda: listener.last["hard/status"] == b"offline")
        assert "WARNING" not in running.log


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves the socket to the collector
@pytest.mark.parametrize("url", ["unix:{folder}/absent.sock", "ws://127.0.0.1:{port}/mqtt"])
def test_what_is_not_there_is_one_sentence(mosquitto: Mosquitto, url: str) -> None:
    """The second is an MQTT listener that speaks no HTTP."""
    address: Any = parse_address(url.format(folder=Path(mosquitto.folder), port=mosquitto.port))
    with pytest.raises(CommandError, match="no broker answers at "), SimpleClient(address):
        pass
