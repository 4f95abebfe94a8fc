"""Broker addresses as people write them, and TLS from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from hard.errors import UsageError
from hard.mqtt.broker_address import BrokerAddress, parse_address, tls_context


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://localhost", BrokerAddress("localhost", 1883)),
        ("mqtt://localhost:1884/", BrokerAddress("localhost", 1884)),
        ("localhost:1884", BrokerAddress("localhost", 1884)),
        ("mqtts://broker.example", BrokerAddress("broker.example", 8883)),
        ("mqtt://[::1]:99", BrokerAddress("::1", 99)),
        ("mqtt://anna:p%40ss%3A@host", BrokerAddress("host", 1883, username="anna", password="p@ss:")),
        ("mqtt://anna@host", BrokerAddress("host", 1883, username="anna")),
        ("ws://host:9001", BrokerAddress("host", 9001, transport="websockets", path="/mqtt")),
        ("ws://host/broker/ws", BrokerAddress("host", 80, transport="websockets", path="/broker/ws")),
        ("wss://anna@host", BrokerAddress("host", 443, username="anna", transport="websockets")),
        ("unix:/run/mosquitto.sock", BrokerAddress("/run/mosquitto.sock", 1883, transport="unix")),
        ("unix:///run/mosquitto.sock", BrokerAddress("/run/mosquitto.sock", 1883, transport="unix")),
    ],
)
def test_reads_an_address(url: str, expected: BrokerAddress) -> None:
    found = parse_address(url)
    assert replace(found, tls=None) == expected
    assert (found.tls is not None) == url.startswith(("mqtts://", "wss://"))


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
        "ws://",
        "unix:",
    ],
)
def test_refuses_what_is_no_address_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError, match="a broker is written mqtt://") as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    where = parse_address("mqtt://anna:secret@host")
    assert "secret" not in repr(where) + str(where)


def test_an_address_is_shown_as_its_transport_has_it() -> None:
    shown = [str(parse_address(url)) for url in ("mqtt://h", "ws://h:9001/a", "unix:/run/m.sock")]
    assert shown == ["h:1883", "h:9001/a", "/run/m.sock"]


def test_tls_takes_the_files_that_the_settings_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("gateway")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "own.pem")
    own.private_key_pem.write_to_path(tmp_path / "own.key")
    (tmp_path / "text").write_text("no certificate")
    assert tls_context(tmp_path / "ca.pem", tmp_path / "own.pem", tmp_path / "own.key").get_ca_certs()
    with pytest.raises(UsageError, match=r"mqtt\.ca_file: \S+absent can't be read: No such file"):
        tls_context(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"mqtt\.ca_file: \S+text is not a certificate"):
        tls_context(tmp_path / "text")
    with pytest.raises(UsageError, match=r"mqtt\.cert_file, mqtt\.key_file: not a certificate and its key"):
        tls_context(tmp_path / "ca.pem", tmp_path / "text", tmp_path / "own.key")
