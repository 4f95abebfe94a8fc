"""Acknowledgements of incoming QoS 1 messages, in the order of arrival. Knows no paho."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock


class Acks:
    """Acknowledges messages in the order in which they came, and only on the connection they came by."""

    def __init__(self, acknowledge: Callable[[int], object]) -> None:
        self._acknowledge = acknowledge
        self._lock = Lock()
        self._order: deque[int] = deque()
        self._done: set[int] = set()
        self.epoch = 0

    def reset(self) -> None:
        """A new connection: the broker sends again what was not acknowledged."""
        with self._lock:
            self.epoch += 1
            self._order.clear()
            self._done.clear()

    def came(self, mid: int) -> None:
        with self._lock:
            self._order.append(mid)

    def done(self, mid: int, epoch: int) -> None:
        """The message is dealt with; it and all that wait for it are acknowledged."""
        with self._lock:
            if epoch != self.epoch:
                return
            self._done.add(mid)
            while self._order and self._order[0] in self._done:
                first = self._order.popleft()
                self._done.discard(first)
                self._acknowledge(first)
