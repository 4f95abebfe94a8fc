"""The small client of commands and tests on a real broker."""

from __future__ import annotations

import time

import pytest
from support.mosquitto import Mosquitto

from hard.commands.processes import free_port
from hard.errors import CommandError
from hard.mqtt import simple_client
from hard.mqtt.broker_address import BrokerAddress
from hard.mqtt.simple_client import SimpleClient


def test_everything_published_is_acknowledged_when_the_block_ends(mosquitto: Mosquitto) -> None:
    mosquitto.reconfigure("max_queued_messages 10000")
    with SimpleClient(mosquitto.address, ("there/#",)) as listener:
        with SimpleClient(mosquitto.address) as client:
            for i in range(3 * simple_client.MAX_IN_FLIGHT):
                client.publish(f"there/{i}", b"%d" % i)
        assert client.acknowledged == client.published == 3 * simple_client.MAX_IN_FLIGHT
        received = [listener.received.get(timeout=60) for _ in range(client.published)]
    assert received == [(f"there/{i}", b"%d" % i) for i in range(client.published)]


def test_a_restarted_broker_is_found_again(mosquitto: Mosquitto) -> None:
    with SimpleClient(mosquitto.address, ("there",)) as client:
        mosquitto.stop(kill=True)
        client.publish("there", b"while it is away")
        mosquitto.start()
        until = time.monotonic() + 60
        while client.received.empty() and time.monotonic() < until:
            client.publish("there", b"again")
            time.sleep(0.2)
        assert not client.received.empty()


def test_a_broker_that_stalls_is_given_up(mosquitto: Mosquitto) -> None:
    with pytest.raises(CommandError, match=r"acknowledged nothing for 0.3 s; 1 messages wait"):  # noqa: PT012, SIM117
        with SimpleClient(mosquitto.address, stalled_s=0.3) as client:
            mosquitto.stop(kill=True)
            client.publish("there", b"never")


def test_a_broker_that_is_not_there_or_refuses(mosquitto: Mosquitto) -> None:
    with (
        pytest.raises(CommandError, match="no broker answers at"),
        SimpleClient(BrokerAddress("127.0.0.1", free_port())),
    ):
        pass
    mosquitto.stop()
    mosquitto.config = ["allow_anonymous false"]
    mosquitto.start()
    with pytest.raises(CommandError, match="refuses the connection: Not authorized"), SimpleClient(mosquitto.address):
        pass
