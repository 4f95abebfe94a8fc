"""What wakes paho's thread."""

from __future__ import annotations

import socket

from paho.mqtt.enums import CallbackAPIVersion

from hard.mqtt.paho_client import Client, WakeSocket


def test_one_byte_is_sent_until_the_reset() -> None:
    woken, sock = socket.socketpair()
    with woken, sock:
        wake = WakeSocket(sock)
        for _ in range(3):
            assert wake.send(b"0") == 1
        assert woken.recv(10) == b"0"
        wake.reset()
        wake.send(b"0")
        assert woken.recv(10) == b"0"


def test_paho_still_has_the_socket_that_is_replaced() -> None:
    """It is a private name of paho: if it is renamed, everything still works, only slower."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect_async("127.0.0.1", 1)
    client.loop_start()
    assert isinstance(client._sockpairW, WakeSocket)
    client.disconnect()
    client.loop_stop()
