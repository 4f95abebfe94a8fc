"""Messages on their way to the broker: a bounded queue, and what is in flight. Knows no paho and no payload."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock

CONNECTED_FACTOR = 5  # times as many may wait while connected: the broker is there, only its acknowledgements are late


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `render` makes its bytes when it is sent, so that a latency in it is the true one.

    `on_ack` is called once: with True when the broker has acknowledged the message, with False when it was dropped.
    With MQTT 5 the broker keeps it for absent subscribers until `expires_at` (Unix s), where there is one.
    """

    topic: str
    render: Callable[[], bytes]
    qos: int = 1
    retain: bool = False
    on_ack: Callable[[bool], None] | None = None
    expires_at: float | None = None


class Outbox:
    """At most `max_waiting` messages wait while there is no connection, CONNECTED_FACTOR times as many while there is
    one; beyond, the oldest is dropped. At most as many are in flight as `connected` says.

    A broker that works off a queue acknowledges labels only after all of that queue. So a long backlog is labelled
    before the first acknowledgement is read.

    `send` gives a message to the client, which keeps one of QoS 1 over a reconnect. It returns the message's id, or
    None where the client refused it. Any thread may call any method.
    """

    def __init__(self, send: Callable[[Outgoing], int | None], max_waiting: int) -> None:
        self._send, self._max_waiting = send, max_waiting
        self._queue: deque[Outgoing] = deque()
        self._in_flight: dict[int, Outgoing] = {}
        self._acks: deque[tuple[int, bool]] = deque()  # id, and whether the broker has acknowledged it
        self._max_in_flight = self._sending = 0
        self._advance_lock, self._put_lock = Lock(), Lock()
        self._drained = Event()
        self._abandoned = False

    def __len__(self) -> int:
        """Messages that the broker hasn't acknowledged."""
        return len(self._queue) + self._sending + len(self._in_flight)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def max_in_flight(self) -> int:
        """How many may be in flight; 0 without a connection."""
        return self._max_in_flight

    def connected(self, max_in_flight: int) -> None:
        """Call when there is a connection and the client has sent again what it kept: newer messages come after it.
        Messages of QoS 0 that were in flight are lost with the last connection, and count as dropped."""
        self._acks.extend((mid, False) for mid, outgoing in list(self._in_flight.items()) if not outgoing.qos)
        self._max_in_flight = max_in_flight
        self._advance()

    def disconnected(self) -> None:
        """Call when the connection is lost: messages wait from now on."""
        self._max_in_flight = 0

    def put(self, outgoing: Outgoing) -> None:
        """Queues a message; when the queue is full the oldest is dropped. Never blocks on the network."""
        with self._put_lock:
            if self._abandoned and outgoing.on_ack:
                dropped: Outgoing | None = outgoing
            else:
                most = self._max_waiting * (CONNECTED_FACTOR if self._max_in_flight else 1)
                dropped = self._queue.popleft() if len(self._queue) >= most else None
                self._queue.append(outgoing)
        if dropped and dropped.on_ack:
            dropped.on_ack(False)
        self._advance()

    def acknowledged(self, mid: int) -> None:
        """The broker has acknowledged the message with the id `mid`."""
        self._acks.append((mid, True))
        self._advance()

    def drain(self, timeout_s: float) -> bool:
        """Waits until the broker has acknowledged everything; False when it hasn't in time."""
        self._drained.clear()
        self._advance()
        return not len(self) or self._drained.wait(timeout_s)

    def abandon(self) -> None:
        """Drops what the broker hasn't acknowledged, and from now on each message that has an `on_ack`."""
        with self._advance_lock, self._put_lock:
            left = [*self._in_flight.values(), *self._queue]
            self._queue.clear()
            self._in_flight.clear()
            self._abandoned = True
        for outgoing in left:
            if outgoing.on_ack:
                outgoing.on_ack(False)

    def _advance(self) -> None:
        """Handles acknowledgements and sends while more may be in flight.

        Only one thread does this at a time. A thread that finds the lock taken leaves its work to the thread that has
        it, which looks again after it has released the lock. Waiting here would deadlock, since paho calls back with
        its own lock held.
        """
        while self._acks or (self._queue and self._may_send()):
            if not self._advance_lock.acquire(blocking=False):
                return
            try:
                self._handle_acks()
                self._send_queued()
            finally:
                self._advance_lock.release()
        if not len(self):
            self._drained.set()

    def _may_send(self) -> bool:
        return len(self._in_flight) < self._max_in_flight

    def _handle_acks(self) -> None:
        while self._acks:
            mid, taken = self._acks.popleft()
            outgoing = self._in_flight.pop(mid, None)
            if outgoing and outgoing.on_ack:
                outgoing.on_ack(taken)

    def _send_queued(self) -> None:
        while self._may_send():
            with self._put_lock:
                if not self._queue:
                    return
                outgoing, self._sending = self._queue.popleft(), 1
            mid = self._send(outgoing)
            if mid is not None:
                self._in_flight[mid] = outgoing
            elif outgoing.on_ack:
                outgoing.on_ack(False)
            self._sending = 0
