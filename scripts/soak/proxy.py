"""A TCP proxy between daemon and broker that cuts connections, delays and corrupts them."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Self

GARBAGE = b"\x00\xff\xff\xff\xff\xff"  # packet type 0 is reserved: what reads it closes the connection


class Proxy:
    """A context manager: inside the block it forwards `port` to `target` on loopback."""

    def __init__(self, target: int, seed: int) -> None:
        self._target, self._random = target, random.Random(seed)
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self.delay_s = 0.0
        self._cut_after: int | None = None  # bytes still to be forwarded before the cut

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the thread's `accept`, which `close` would not
        self._acceptor.join()
        self._listener.close()
        self._close_all()

    def cut(self) -> None:
        """Ends the connection within the next 400 bytes, so most likely inside a packet."""
        self._cut_after = self._random.randrange(1, 400)

    def corrupt(self) -> None:
        """Puts bytes that are not MQTT into both streams."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.sendall(GARBAGE)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.add((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with suppress(OSError, ValueError):
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        raise OSError
                    if self.delay_s:
                        time.sleep(self.delay_s)
                    if self._cut_after is not None:
                        data, self._cut_after = data[: self._cut_after], self._cut_after - len(data)
                    other[ready].sendall(data)
                    if self._cut_after is not None and self._cut_after <= 0:
                        self._cut_after = None
                        raise OSError
        with self._lock:
            self._pairs.discard((client, server))
        for end in (client, server):
            with suppress(OSError):
                end.close()

    def _close_all(self) -> None:
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
