"""Messages on their way to the broker: a bounded queue, and what is in flight. Knows no paho and no payload."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock

MORE_IF_OPEN = 5  # times as many may wait while the broker is there: it has not gone, its acknowledgements are late


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `render` makes its bytes at hand-over, so that a latency in it is the true one.

    `settled` is told once whether the broker took it. With MQTT 5 the broker keeps it for absent subscribers until
    `expires_at` (Unix s), where there is one.
    """

    topic: str
    render: Callable[[], bytes]
    qos: int = 1
    retain: bool = False
    settled: Callable[[bool], None] | None = None
    expires_at: float | None = None


class Outbox:
    """At most `most` messages wait while the broker is away, MORE_IF_OPEN times as many while it is there; beyond, the
    oldest is dropped. Of what `send` was given, so many are in flight as `open` says.

    A broker that works off a queue has its acknowledgements of labels wait behind all of it: a long backlog is labelled
    before the first of them is read.

    `send` hands a message to the client, which keeps one of QoS 1 over a reconnect; it gives the message's id, or None
    where the client refused it. Any thread may call any method.
    """

    def __init__(self, send: Callable[[Outgoing], int | None], most: int) -> None:
        self._send, self._most = send, most
        self._queue: deque[Outgoing] = deque()
        self._in_flight: dict[int, Outgoing] = {}
        self._settled: deque[tuple[int, bool]] = deque()  # id, and whether the broker took it
        self._room_for = self._moving = 0
        self._pumping, self._putting = Lock(), Lock()
        self._drained = Event()
        self._abandoned = False

    def __len__(self) -> int:
        """Messages that the broker hasn't taken."""
        return len(self._queue) + self._moving + len(self._in_flight)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def room_for(self) -> int:
        """How many may be in flight; 0 without a connection."""
        return self._room_for

    def open(self, room_for: int) -> None:
        """There is a connection again, and the client has sent again what it kept: what comes now comes after it. What
        was in flight at QoS 0 went with the last connection, and nobody tells."""
        self._settled.extend((mid, False) for mid, outgoing in list(self._in_flight.items()) if not outgoing.qos)
        self._room_for = room_for
        self._pump()

    def shut(self) -> None:
        """The connection is gone; what comes waits."""
        self._room_for = 0

    def put(self, outgoing: Outgoing) -> None:
        """Queues a message; when the queue is full the oldest is dropped. Never blocks on the network."""
        with self._putting:
            if self._abandoned and outgoing.settled:
                dropped: Outgoing | None = outgoing
            else:
                most = self._most * (MORE_IF_OPEN if self._room_for else 1)
                dropped = self._queue.popleft() if len(self._queue) >= most else None
                self._queue.append(outgoing)
        if dropped and dropped.settled:
            dropped.settled(False)
        self._pump()

    def taken(self, mid: int) -> None:
        """The broker has taken the message with the id `mid`."""
        self._settled.append((mid, True))
        self._pump()

    def drain(self, timeout_s: float) -> bool:
        """Waits until the broker has taken everything; False when it hasn't in time."""
        self._drained.clear()
        self._pump()
        return not len(self) or self._drained.wait(timeout_s)

    def abandon(self) -> None:
        """Gives up what the broker hasn't taken, and from now on whatever is in a book, for these end."""
        with self._pumping, self._putting:
            left = [*self._in_flight.values(), *self._queue]
            self._queue.clear()
            self._in_flight.clear()
            self._abandoned = True
        for outgoing in left:
            if outgoing.settled:
                outgoing.settled(False)

    def _pump(self) -> None:
        """Counters what was taken and hands over while there is room.

        One thread at a time pumps: whoever finds the lock taken leaves its work to the holder, which looks again after
        letting go. Waiting here would deadlock, since paho calls back with its own lock held.
        """
        while self._settled or (self._queue and self._room()):
            if not self._pumping.acquire(blocking=False):
                return
            try:
                self._settle()
                self._hand_over()
            finally:
                self._pumping.release()
        if not len(self):
            self._drained.set()

    def _room(self) -> bool:
        return len(self._in_flight) < self._room_for

    def _settle(self) -> None:
        while self._settled:
            mid, taken = self._settled.popleft()
            outgoing = self._in_flight.pop(mid, None)
            if outgoing and outgoing.settled:  # the session's own status is in no book
                outgoing.settled(taken)

    def _hand_over(self) -> None:
        while self._room():
            with self._putting:
                if not self._queue:
                    return
                outgoing, self._moving = self._queue.popleft(), 1
            mid = self._send(outgoing)
            if mid is not None:
                self._in_flight[mid] = outgoing
            elif outgoing.settled:
                outgoing.settled(False)
            self._moving = 0
