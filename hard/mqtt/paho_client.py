"""paho's client, with two things more: it counts the turns of its loop, and is woken once for all that is queued
meanwhile. Knows no topic.

paho writes a byte to wake its thread for each packet, and each system call hands Python's lock to another thread.
"""

from __future__ import annotations

import socket

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode


class Bell:
    """The end of paho's pair of sockets that wakes its thread: rings once until it is heard."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._rung = sock, False

    def send(self, data: bytes) -> int:
        """Called after each packet is queued, from any thread."""
        if not self._rung:
            self._rung = True
            self._sock.send(data)
        return len(data)

    def heard(self) -> None:
        """All that is queued is about to be written; what comes later rings again."""
        self._rung = False

    def close(self) -> None:
        self._sock.close()


class Client(paho.Client):
    """`turns` is one more a second at rest. `_sockpairW` is paho's own, and not promised."""

    turns = 0

    def loop_misc(self) -> MQTTErrorCode:
        self.turns += 1
        return super().loop_misc()

    def loop_start(self) -> MQTTErrorCode:
        started = super().loop_start()
        if isinstance(self._sockpairW, socket.socket):
            self._sockpairW = Bell(self._sockpairW)  # type: ignore[assignment]
        return started

    def loop_write(self) -> MQTTErrorCode:
        if isinstance(self._sockpairW, Bell):
            self._sockpairW.heard()
        return super().loop_write()
