"""The one MQTT session: TLS, last will, subscription, ordered acknowledgements, bounded outbox. Knows no payload.

paho's own network thread runs the callbacks. An incoming message is time-stamped and put into a bounded queue, nothing
else. Where that is full the thread waits, and through TCP the broker: mosquitto, working off a queue, sends far more
than `max_inflight_messages` or ReceiveMaximum (its issue 2301; seen in 2.0.11). Outgoing messages wait in an outbox of
which at most `max_inflight` are with paho at a time.
"""

from __future__ import annotations

import logging
import queue
import ssl
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock
from time import monotonic, sleep, time
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hard.logs import LimitedLog
from hard.records import Message
from hard.stream.backoff import Backoff
from hard.stream.client import Client

log = logging.getLogger(__name__)
MOST_IN_FLIGHT, LONGEST_EXPIRY_S = 65_535, 2**32 - 1  # that MQTT can tell
ROOM_WITHIN_S, LOOK_AGAIN_S = 5.0, 0.002
TAKEN_OVER = 0x8E  # MQTT 5: another client connected with the same id


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and how to connect."""

    host: str
    port: int
    client_id: str
    protocol: str = "3.1.1"
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = 60
    reconnect_max_s: float = 30.0
    session_expiry_s: int = 86_400
    max_inflight: int = 1000
    max_outbox: int = 20_000
    max_queued: int = 10_000


def tls_context(broker: Broker) -> ssl.SSLContext:
    """TLS 1.2 or later, the broker's certificate checked, ours shown where there is one."""
    context = ssl.create_default_context(cafile=str(broker.ca_file) if broker.ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if broker.cert_file and broker.key_file:
        context.load_cert_chain(broker.cert_file, broker.key_file)
    return context


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


class Receipts:
    """Acknowledges incoming QoS 1 messages in the order of arrival, and only on the connection they came by."""

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


class Session:
    """A context manager: entering connects in the background, leaving says offline and disconnects.

    `incoming` is the queue of messages, kept to `broker.max_queued`. `came` is told of each message, `shed` where it
    found the queue full, at QoS 1 for ROOM_WITHIN_S. `notices` are topics of their own, of which only the newest word
    counts: their payload is told at once, QoS 0, and counted nowhere.
    """

    def __init__(
        self, broker: Broker, topics: Sequence[str], status_topic: str, incoming: queue.SimpleQueue[Any], *,
        came: Callable[[], None], shed: Callable[[], None],
        notices: Mapping[str, Callable[[bytes], None]] | None = None,
    ) -> None:  # fmt: skip
        self._notices = dict(notices or {})
        self._broker, self._topics, self._status_topic, self._incoming = broker, list(topics), status_topic, incoming
        self._came, self._shed = came, shed
        self._outbox: deque[Outgoing] = deque()
        self._unacknowledged: dict[int, Outgoing] = {}
        self._settled: deque[tuple[int, bool]] = deque()  # mid, and whether the broker took it
        self._room_for = broker.max_inflight
        self._pumping, self._putting = Lock(), Lock()
        self._drained = Event()
        self._connected = self._taking = self._abandoned = False
        self._backoff = Backoff(broker.reconnect_max_s)
        self._limited = LimitedLog(log)
        self.connections = self.reconnects = self._arrived = 0
        self.subscribed = False
        self.tried = Event()  # the first attempt has ended, well or not
        self.failed: Exception | None = None  # a callback raised: the session is no longer to be trusted
        self._client = self._make_client()
        self._receipts = Receipts(lambda mid: self._client.ack(mid, 1))

    def __enter__(self) -> Session:
        self._taking = True
        where = (self._broker.host, self._broker.port, self._broker.keepalive_s)
        if self._broker.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = self._broker.session_expiry_s
            properties.ReceiveMaximum = min(self._broker.max_queued, MOST_IN_FLIGHT)  # so that it would always fit
            self._client.connect_async(*where, clean_start=False, properties=properties)
        else:
            self._client.connect_async(*where)
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connected:
            info = self._client.publish(self._status_topic, b"offline", qos=1, retain=True)
            try:
                info.wait_for_publish(2.0)
            except (RuntimeError, ValueError):
                log.warning("could not say offline: the broker is gone")
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def alive(self) -> bool:
        """Whether paho's thread lives: an error that paho didn't foresee ends it, such as a host that is no name."""
        return self._client._thread is not None

    @property
    def turns(self) -> int:
        """Changes as long as the network thread gets on: with each turn of its loop, message and attempt to connect."""
        return self._client.turns + self._backoff.failures + self._arrived

    @property
    def evicted(self) -> str:
        """Whether another client seems to take each connection away, as a sentence; empty when not."""
        if self._connected:
            self._backoff.stable(monotonic())
        if not self._backoff.evicted:
            return ""
        return f"the broker ends each connection soon: another client may be connecting as {self._broker.client_id!r}"

    @property
    def waiting(self) -> int:
        """Outgoing messages that the broker hasn't taken: in the outbox and in flight."""
        return len(self._outbox) + len(self._unacknowledged)

    def acknowledge(self, message: Message) -> None:
        """`message` is safe; call in any order, acknowledgements go out in the order of arrival."""
        if message.qos:
            self._receipts.done(message.mid, message.epoch)

    def put(self, outgoing: Outgoing) -> None:
        """Queues a message; when the outbox is full the oldest is dropped. Never blocks on the network."""
        with self._putting:
            if self._abandoned and outgoing.settled:
                dropped: Outgoing | None = outgoing
            else:
                dropped = self._outbox.popleft() if len(self._outbox) >= self._broker.max_outbox else None
                self._outbox.append(outgoing)
        if dropped and dropped.settled:
            dropped.settled(False)
        self._pump()

    def stop_taking(self) -> None:
        """From now on incoming messages are left to the broker, unacknowledged: it keeps them for the next start."""
        self._taking = False

    def drain(self, timeout_s: float) -> bool:
        """Waits until the broker has taken everything; False when it hasn't in time."""
        self._drained.clear()
        self._pump()
        return not self.waiting or self._drained.wait(timeout_s)

    def abandon(self) -> None:
        """Gives up what the broker hasn't taken, and from now on whatever is in a book, for these end."""
        with self._pumping, self._putting:
            left = [*self._unacknowledged.values(), *self._outbox]
            self._outbox.clear()
            self._unacknowledged.clear()
            self._abandoned = True
        for outgoing in left:
            if outgoing.settled:
                outgoing.settled(False)

    def _make_client(self) -> Client:
        broker, five = self._broker, self._broker.protocol == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else False,
            manual_ack=True,
        )
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set_context(tls_context(broker))
        client.max_inflight_messages_set(0)  # the session keeps the bound; paho would go through all at each of them
        client.will_set(self._status_topic, b"offline", qos=1, retain=True)
        client.on_connect = self._guarded(self._on_connect)
        client.on_connect_fail = self._guarded(self._on_connect_fail)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_message = self._guarded(self._on_message)
        client.on_publish = self._guarded(self._on_publish)
        return client

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """An exception in a callback would end paho's thread while the process lives: keep it for the main thread."""

        def call(*args: Any) -> None:
            try:
                callback(*args)
            except Exception as error:
                log.exception("the MQTT session failed")
                self.failed = error

        return call

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._limited.warning("refused", "the broker refused the connection: %s", reason)
            self._wait(self._backoff.failed())
            self.tried.set()
            return
        self._receipts.reset()
        self.reconnects += self._backoff.failures > 0
        self._backoff.connected(monotonic())
        # paho drops QoS 0 messages that a broken connection left unsent, and tells nobody.
        self._settled.extend((mid, False) for mid, outgoing in list(self._unacknowledged.items()) if not outgoing.qos)
        most = self._broker.max_inflight
        self._room_for = min(most, getattr(properties, "ReceiveMaximum", most))  # MQTT 5: what the broker bears
        self._connected = True
        self.connections += 1
        client.subscribe([*((topic, 1) for topic in self._topics), *((topic, 0) for topic in self._notices)])
        client.publish(self._status_topic, b"online", qos=1, retain=True)
        log.info("connected to %s:%d", self._broker.host, self._broker.port)
        self._pump()

    def _on_subscribe(self, _client: paho.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            log.error("the broker refused the subscription to %s", ", ".join(refused))
        self.subscribed = not refused
        self.tried.set()

    def _on_connect_fail(self, _client: paho.Client, _data: Any) -> None:
        # paho calls from within its except block, and gives no reason of its own.
        reason = sys.exception() or "no answer"
        where = (self._broker.host, self._broker.port)
        self._limited.warning("unreachable", "can't reach a broker at %s:%d: %s", *where, reason)
        self._wait(self._backoff.failed())
        self.tried.set()

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        was, self._connected, self.subscribed = self._connected, False, False
        if was and self._taking:
            self._limited.warning("lost", "lost the connection: %s", reason)
        if was:
            taken_over = getattr(reason, "value", 0) == TAKEN_OVER
            self._wait(self._backoff.lost(monotonic(), taken_over))
        if self.evicted:
            self._limited.warning("evicted", "%s", self.evicted)

    def _wait(self, delay_s: Any) -> None:  # paho says int, and takes any number
        self._client.reconnect_delay_set(delay_s, delay_s)

    def _on_message(self, _client: paho.Client, _data: Any, raw: paho.MQTTMessage) -> None:
        if not self._taking:
            return
        if notice := self._notices.get(raw.topic):
            notice(bytes(raw.payload))
            return
        if raw.qos:
            self._receipts.came(raw.mid)
        content_type = getattr(raw.properties, "ContentType", None) if raw.properties else None
        message = Message(
            raw.topic, bytes(raw.payload), monotonic(), time(), raw.mid, raw.qos, self._receipts.epoch, content_type,
            raw.dup,
        )  # fmt: skip
        self._came()
        self._arrived += 1
        if self._has_room(within_s=ROOM_WITHIN_S if raw.qos else 0.0):
            self._incoming.put(message)
        else:
            self._shed()
            if self._taking:  # else the broker keeps it for the next start
                self.acknowledge(message)

    def _has_room(self, within_s: float) -> bool:
        until = monotonic() + within_s
        while self._incoming.qsize() >= self._broker.max_queued:
            if not self._taking or monotonic() >= until:
                return False
            sleep(LOOK_AGAIN_S)
        return True

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
        self._settled.append((mid, True))
        self._pump()

    def _pump(self) -> None:
        """Books acknowledgements and hands over from the outbox while there is room.

        Any thread may call it and one at a time pumps: whoever finds the lock taken leaves its work to the holder,
        which looks again after letting go. Waiting here would deadlock, since paho calls back with its own lock held.
        """
        while self._settled or (self._outbox and self._room()):
            if not self._pumping.acquire(blocking=False):
                return
            try:
                self._settle()
                self._hand_over()
            finally:
                self._pumping.release()
        if not self.waiting:
            self._drained.set()

    def _room(self) -> bool:
        return self._connected and len(self._unacknowledged) < self._room_for

    def _settle(self) -> None:
        while self._settled:
            mid, taken = self._settled.popleft()
            outgoing = self._unacknowledged.pop(mid, None)
            if outgoing and outgoing.settled:  # the session's own status is in no book
                outgoing.settled(taken)

    def _hand_over(self) -> None:
        while self._room():
            with self._putting:
                if not self._outbox:
                    return
                outgoing = self._outbox.popleft()
            info = self._client.publish(
                outgoing.topic, outgoing.render(), outgoing.qos, outgoing.retain, self._properties(outgoing)
            )
            if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS or outgoing.qos:
                self._unacknowledged[info.mid] = outgoing  # QoS 1 stays with paho over a reconnect
            elif outgoing.settled:
                outgoing.settled(False)

    def _properties(self, outgoing: Outgoing) -> Properties | None:
        if outgoing.expires_at is None or self._broker.protocol != "5":
            return None
        return expiring(min(max(1, round(outgoing.expires_at - time())), LONGEST_EXPIRY_S))


@lru_cache(maxsize=16)  # most of what goes out has as long to live
def expiring(within_s: int) -> Properties:
    """What tells an MQTT 5 broker to keep a message no longer than that."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = within_s
    return properties
