"""What goes over the wire around a reconnect, seen by a broker that is only a socket: MQTT 3.1.1, packet by packet."""

from __future__ import annotations

import queue
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.listener import eventually
from support.session_options import session_options

from hard.mqtt.outbox import Outgoing
from hard.mqtt.session import Session

CONNECT, PUBLISH, PUBACK, SUBSCRIBE = 1, 3, 4, 8
DUPLICATE = 8


class Connection:
    """One client's connection, from the broker's side."""

    def __init__(self, server: socket.socket) -> None:
        self._sock, _ = server.accept()
        self._sock.settimeout(10)

    def packet(self) -> tuple[int, int, bytes]:
        """The next one: type, flags, content."""
        head, length, shift = self._exactly(1)[0], 0, 0
        while True:
            byte = self._exactly(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return head >> 4, head & 15, self._exactly(length)

    def until(self, kind: int) -> tuple[int, bytes]:
        """Flags and content of the next packet of that kind; others are passed over."""
        while True:
            found, flags, content = self.packet()
            if found == kind:
                return flags, content

    def published(self) -> tuple[str, bytes, bool]:
        """Topic and payload of the next QoS 1 message, and whether it is sent again."""
        flags, content = self.until(PUBLISH)
        end = 2 + struct.unpack(">H", content[:2])[0]
        return content[2:end].decode(), content[end + 2 :], bool(flags & DUPLICATE)

    def welcome(self, *, session_present: bool = False) -> None:
        self.until(CONNECT)
        self._sock.sendall(bytes((0x20, 2, session_present, 0)))

    def confirm_subscription(self) -> None:
        _, content = self.until(SUBSCRIBE)
        self._sock.sendall(b"\x90\x03" + content[:2] + b"\x01")

    def publish(self, topic: bytes, mid: int) -> None:
        content = struct.pack(">H", len(topic)) + topic + struct.pack(">H", mid) + b"x"
        self._sock.sendall(bytes((0x32, len(content))) + content)

    def close(self) -> None:
        self._sock.close()

    def _exactly(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            more = self._sock.recv(n - len(data))
            assert more, "the client hung up"
            data += more
        return data


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


@contextmanager
def session(server: socket.socket) -> Iterator[Session]:
    options = session_options(server.getsockname()[1])
    made = Session(options, ["s/+"], "hard/status", queue.SimpleQueue(), on_received=lambda: None, on_shed=lambda: None)
    with made:
        yield made


def test_nothing_newer_overtakes_what_is_sent_again(server: socket.socket) -> None:
    """Else an old state would be the retained one."""
    with session(server) as made:
        first = Connection(server)
        first.welcome()
        first.confirm_subscription()
        made.outbox.put(Outgoing("state", lambda: b"Walking", retain=True))
        while first.published()[0] != "state":
            pass
        first.close()
        eventually(lambda: not made.connected)
        made.outbox.put(Outgoing("state", lambda: b"unknown", retain=True))
        second = Connection(server)
        second.welcome(session_present=True)
        second.confirm_subscription()
        states: list[tuple[bytes, bool]] = []
        while len(states) < 2:
            topic, payload, again = second.published()
            if topic == "state":
                states.append((payload, again))
        assert states == [(b"Walking", True), (b"unknown", False)]
        second.close()


def test_no_acknowledgement_of_one_connection_goes_out_on_the_next(server: socket.socket) -> None:
    """The broker may have given the id to another message since."""
    with session(server) as made:
        first = Connection(server)
        first.welcome()
        first.confirm_subscription()
        first.publish(b"s/a", mid=7)
        message = made.incoming.get(timeout=10)
        first.close()
        eventually(lambda: not made.connected)
        second = Connection(server)
        made.acknowledge(message)
        second.welcome()
        second.confirm_subscription()
        second.publish(b"s/a", mid=8)
        made.acknowledge(made.incoming.get(timeout=10))
        _, content = second.until(PUBACK)
        assert struct.unpack(">H", content) == (8,)
        second.close()
