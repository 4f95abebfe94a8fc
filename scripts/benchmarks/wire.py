"""MQTT 3.1.1 on sockets, only what the load generator needs: it must cost less than what it measures."""

from __future__ import annotations

import socket
from collections.abc import Iterator

CONNECT, PUBLISH, PUBACK, SUBSCRIBE = 0x10, 0x30, 0x40, 0x82
QOS1 = 0x02
READ = 1 << 18


def packet(kind: int, body: bytes) -> bytes:
    """Fixed header, length, body."""
    length, left = bytearray(), len(body)
    while True:
        left, low = left >> 7, left & 0x7F
        length.append(low | (0x80 if left else 0))
        if not left:
            return bytes((kind,)) + bytes(length) + body


def text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def connected(port: int, client_id: str, topic: str | None = None) -> socket.socket:
    """A blocking socket of a session on loopback, subscribed to `topic` at QoS 1 where one is given."""
    link = socket.create_connection(("127.0.0.1", port), 5.0)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(packet(CONNECT, text("MQTT") + b"\x04\x02\x00\x00" + text(client_id)))  # clean, no keep-alive
    _read_exactly(link, 4)
    if topic is not None:
        link.sendall(packet(SUBSCRIBE, b"\x00\x01" + text(topic) + b"\x01"))
        _read_exactly(link, 5)
    return link


def publication(topic: bytes, mid: int, payload: bytes) -> bytes:
    """A QoS 1 message; `topic` has its length in front, as `text` makes it."""
    return packet(PUBLISH | QOS1, topic + mid.to_bytes(2, "big") + payload)


class Stream:
    """Bytes of a socket → packets. Send `acknowledgements` to acknowledge what `packets` gave."""

    def __init__(self) -> None:
        self._rest = b""
        self.acknowledgements = bytearray()

    def packets(self, data: bytes) -> Iterator[tuple[bytes, memoryview]]:
        """(topic, payload) of each message that came; both are empty for an acknowledgement of ours."""
        whole = memoryview(self._rest + data)
        at = 0
        while at + 2 <= len(whole):
            length, shift, begin = 0, 0, at + 1
            while begin < len(whole) and whole[begin] & 0x80:
                length |= (whole[begin] & 0x7F) << shift
                shift, begin = shift + 7, begin + 1
            if begin >= len(whole):
                break
            length |= whole[begin] << shift
            begin += 1
            if begin + length > len(whole):
                break
            kind = whole[at] & 0xF0
            if kind == PUBLISH:
                after = begin + 2 + int.from_bytes(whole[begin : begin + 2], "big")
                topic = bytes(whole[begin + 2 : after])
                if whole[at] & QOS1:
                    self.acknowledgements += b"\x40\x02" + bytes(whole[after : after + 2])
                    after += 2
                yield topic, whole[after : begin + length]
            elif kind == PUBACK:
                yield b"", whole[:0]
            at = begin + length
        self._rest = bytes(whole[at:])


def _read_exactly(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = link.recv(count - len(data))
        if not more:
            raise ConnectionError("the broker closed the connection")
        data += more
    return data
