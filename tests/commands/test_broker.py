"""The tools' MQTT client: addresses, a real session, and messages that the daemon's decoder reads."""

from __future__ import annotations

import time

import numpy as np
import pytest
from support.mosquitto import Mosquitto

from hard.commands import broker
from hard.commands.broker import Address, Link, address, batch
from hard.commands.processes import free_port
from hard.errors import CommandError, UsageError
from hard.formats.payloads import Decoder
from hard.records import Message


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://localhost", Address("localhost", 1883)),
        ("mqtt://localhost:1884/", Address("localhost", 1884)),
        ("localhost:1884", Address("localhost", 1884)),
        ("mqtts://broker.example", Address("broker.example", 8883, tls=True)),
        ("mqtt://[::1]:99", Address("::1", 99)),
        ("mqtt://anna:p%40ss%3A@host", Address("host", 1883, user="anna", password="p@ss:")),
        ("mqtt://anna@host", Address("host", 1883, user="anna")),
    ],
)
def test_reads_an_address(url: str, expected: Address) -> None:
    assert address(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mqtt://",
        "http://host",
        "mqtt://a:secret@host:port",
        "mqtt://host:70000",
        "mqtt://host/topic",
        "mqtt://[::1",
    ],
)
def test_refuses_what_is_no_address_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError, match="a broker is written mqtt://") as caught:
        address(url)
    assert "secret" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    where = address("mqtt://anna:secret@host")
    assert "secret" not in repr(where) + str(where)


def test_everything_published_is_acknowledged_when_the_block_ends(mosquitto: Mosquitto) -> None:
    mosquitto.reconfigure("max_queued_messages 10000")
    with Link(mosquitto.url, ("there/#",)) as listener:
        with Link(mosquitto.url) as link:
            for i in range(3 * broker.IN_FLIGHT):
                link.publish(f"there/{i}", b"%d" % i)
        assert link.acknowledged == link.published == 3 * broker.IN_FLIGHT
        received = [listener.received.get(timeout=60) for _ in range(link.published)]
    assert received == [(f"there/{i}", b"%d" % i) for i in range(link.published)]


def test_a_restarted_broker_is_found_again(mosquitto: Mosquitto) -> None:
    with Link(mosquitto.url, ("there",)) as link:
        mosquitto.stop(kill=True)
        link.publish("there", b"while it is away")
        mosquitto.start()
        until = time.monotonic() + 60
        while link.received.empty() and time.monotonic() < until:
            link.publish("there", b"again")
            time.sleep(0.2)
        assert not link.received.empty()


def test_a_broker_that_stalls_is_given_up(mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "STALLED_S", 0.3)
    with pytest.raises(CommandError, match=r"acknowledged nothing for 0.3 s; 1 messages wait"):  # noqa: PT012, SIM117
        with Link(mosquitto.url) as link:
            mosquitto.stop(kill=True)
            link.publish("there", b"never")


def test_a_broker_that_is_not_there_or_refuses(mosquitto: Mosquitto) -> None:
    with pytest.raises(CommandError, match="no broker answers at"), Link(f"mqtt://127.0.0.1:{free_port()}"):
        pass
    mosquitto.stop()
    mosquitto.config = ["allow_anonymous false"]
    mosquitto.start()
    with pytest.raises(CommandError, match="does not let us in: Not authorized"), Link(mosquitto.url):
        pass


def test_the_daemon_reads_even_and_uneven_times() -> None:
    decoder = Decoder(["sensors/{device}/accel"])
    xyz = np.random.default_rng(0).normal(0, 9, (50, 3))
    even = 1.8e9 + np.arange(50) / 50
    uneven = even + np.linspace(0, 0.01, 50) ** 2 + np.arange(50) % 2 * 0.003
    for time_s, field in ((even, b'"t0"'), (uneven, b'"t"'), (even[:1], b'"t0"')):
        payload = batch(time_s, xyz[: len(time_s)], 50.0)
        assert field in payload
        samples = decoder.decode(Message("sensors/d/accel", payload, 0.0, 0.0))
        assert samples.device == "d"
        np.testing.assert_allclose(samples.time, time_s, rtol=0, atol=6e-5)
        np.testing.assert_allclose(samples.xyz, xyz[: len(time_s)], atol=1e-5)
