"""paho's client with two changes: it counts the turns of its loop, and it is woken once for all packets that are queued
meanwhile. Knows no topic.

paho writes a byte to wake its thread for each packet, and each system call hands Python's lock to another thread.
"""

from __future__ import annotations

import socket

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from hard.mqtt.broker_address import BrokerAddress


def log_in(client: paho.Client, address: BrokerAddress) -> None:
    """Tells a `client`, made for the address's transport, what it needs to connect there."""
    if address.username:
        client.username_pw_set(address.username, address.password)
    if address.tls:
        client.tls_set_context(address.tls)
    client.ws_set_options(path=address.path)


class WakeSocket:
    """The end of paho's pair of sockets that wakes its thread: it sends one byte until `reset` is called."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._woken = sock, False

    def send(self, data: bytes) -> int:
        """Called after each packet is queued, from any thread."""
        if not self._woken:
            self._woken = True
            self._sock.send(data)
        return len(data)

    def reset(self) -> None:
        """paho is about to write all that is queued; a later packet sends a byte again."""
        self._woken = False

    def close(self) -> None:
        self._sock.close()


class Client(paho.Client):
    """`turns` grows by one a second at rest. `_sockpairW` is a private name of paho."""

    turns = 0

    def loop_misc(self) -> MQTTErrorCode:
        self.turns += 1
        return super().loop_misc()

    def loop_start(self) -> MQTTErrorCode:
        started = super().loop_start()
        if isinstance(self._sockpairW, socket.socket):
            self._sockpairW = WakeSocket(self._sockpairW)  # type: ignore[assignment]
        return started

    def loop_write(self) -> MQTTErrorCode:
        if isinstance(self._sockpairW, WakeSocket):
            self._sockpairW.reset()
        return super().loop_write()
