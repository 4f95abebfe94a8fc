"""Acknowledgements of incoming QoS 1 messages, in the order of arrival. Knows no paho."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock


class Acks:
    """Acknowledges messages in the order in which they came, and only on the connection by which they came."""

    def __init__(self, send_ack: Callable[[int], object]) -> None:
        self._send_ack = send_ack
        self._lock = Lock()
        self._order: deque[int] = deque()
        self._done: set[int] = set()
        self.epoch = 0

    def reset(self) -> None:
        """The connection is lost: on the next one the broker sends again what was not acknowledged."""
        with self._lock:
            self.epoch += 1
            self._order.clear()
            self._done.clear()

    def received(self, mid: int) -> None:
        """A message has come."""
        with self._lock:
            self._order.append(mid)

    def acknowledge(self, mid: int, epoch: int) -> None:
        """Acknowledges the message as soon as all that came before it are; ignored when `epoch` is of an earlier
        connection, since the broker may have given the id to another message."""
        with self._lock:
            if epoch != self.epoch:
                return
            self._done.add(mid)
            while self._order and self._order[0] in self._done:
                first = self._order.popleft()
                self._done.discard(first)
                self._send_ack(first)
