"""What wakes paho's thread."""

from __future__ import annotations

import socket

from paho.mqtt.enums import CallbackAPIVersion

from hard.mqtt.paho_client import Bell, Client


def test_the_bell_rings_once_until_it_is_heard() -> None:
    heard, sock = socket.socketpair()
    with heard, sock:
        bell = Bell(sock)
        for _ in range(3):
            assert bell.send(b"0") == 1
        assert heard.recv(10) == b"0"
        bell.heard()
        bell.send(b"0")
        assert heard.recv(10) == b"0"


def test_paho_still_has_the_socket_that_the_bell_stands_in_for() -> None:
    """It is a private name: a paho that renames it would go on as before, only slower."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect_async("127.0.0.1", 1)
    client.loop_start()
    assert isinstance(client._sockpairW, Bell)
    client.disconnect()
    client.loop_stop()
