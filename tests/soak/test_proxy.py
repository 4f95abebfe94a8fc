"""The proxy between daemon and broker."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from soak.proxy import GARBAGE, Proxy


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


@pytest.fixture
def proxy(server: socket.socket) -> Iterator[Proxy]:
    with Proxy(server.getsockname()[1], seed=1) as made:
        yield made


def connected(server: socket.socket, proxy: Proxy) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
    accepted, _ = server.accept()
    accepted.settimeout(30)
    return client, accepted


def received(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := end.recv(count - len(data))):
        data += more
    return data


def test_bytes_go_both_ways(server: socket.socket, proxy: Proxy) -> None:
    client, accepted = connected(server, proxy)
    with client, accepted:
        client.sendall(b"question")
        assert received(accepted, 8) == b"question"
        accepted.sendall(b"answer")
        assert received(client, 6) == b"answer"


def test_a_cut_ends_the_connection_within_the_next_bytes(server: socket.socket, proxy: Proxy) -> None:
    client, accepted = connected(server, proxy)
    with client, accepted:
        proxy.cut()
        client.sendall(b"x" * 400)
        assert 0 < len(received(accepted, 400)) < 400
        assert client.recv(1) == b""


def test_corruption_reaches_both_ends(server: socket.socket, proxy: Proxy) -> None:
    client, accepted = connected(server, proxy)
    with client, accepted:
        client.sendall(b"x")
        assert received(accepted, 1) == b"x"
        proxy.corrupt()
        assert received(client, len(GARBAGE)) == received(accepted, len(GARBAGE)) == GARBAGE
