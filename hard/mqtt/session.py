"""The one MQTT session: connects, subscribes, queues what comes and sends what the outbox holds. Knows no payload.

paho's own network thread runs the callbacks. It adds the time to an incoming message and puts it into a bounded queue.
Where that is full the thread waits, and so does the broker, through TCP: when mosquitto works off a queue, it sends far
more than `max_inflight_messages` or ReceiveMaximum (its issue 2301; seen in 2.0.11).
"""

from __future__ import annotations

import logging
import queue
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Event
from time import monotonic, sleep, time
from types import TracebackType
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hard.monitoring.rate_limited_log import RateLimitedLog
from hard.mqtt.acks import Acks
from hard.mqtt.backoff import Backoff
from hard.mqtt.broker_address import BrokerAddress
from hard.mqtt.outbox import Outbox, Outgoing
from hard.mqtt.paho_client import Client, log_in
from hard.records import Message

log = logging.getLogger(__name__)
MOST_IN_FLIGHT, LONGEST_EXPIRY_S = 65_535, 2**32 - 1  # the greatest values of MQTT's fields
FULL_QUEUE_POLL_S = 0.002  # how often a full incoming queue is checked for room
TAKEN_OVER = 0x8E  # MQTT 5: another client connected with the same id


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where to connect, as which client, and how much may wait."""

    address: BrokerAddress
    client_id: str
    protocol: Literal["3.1.1", "5"]
    keepalive_s: int
    reconnect_max_s: float
    session_expiry_s: int
    max_inflight: int
    max_outbox: int
    max_incoming: int


class Session:
    """A context manager: entering connects in the background, leaving says offline and disconnects.

    Messages go into the queue `incoming`, at most `options.max_incoming`. `on_received` is called for each message, and
    `on_shed` for one of QoS 0 that found the queue full; one of QoS 1 waits until it fits. Messages to publish go into
    `outbox`.
    """

    def __init__(
        self, options: SessionOptions, topics: Sequence[str], status_topic: str, incoming: queue.SimpleQueue[Any], *,
        on_received: Callable[[], None], on_shed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._notices: dict[str, Callable[[bytes], None]] = {}
        self._options, self._topics, self._status_topic, self.incoming = options, list(topics), status_topic, incoming
        self._on_received, self._on_shed = on_received, on_shed
        self._connected = self._receiving = False
        self.outbox = Outbox(self._publish, options.max_outbox)
        self._max_in_flight = options.max_inflight
        self._backoff = Backoff(options.reconnect_max_s)
        self._limited = RateLimitedLog(log)
        self.connections = self.reconnects = self._waits = 0
        self.subscribed = False
        self.tried = Event()  # set when the first attempt to connect has succeeded or failed
        self.failed: Exception | None = None  # what a callback raised: the session can't go on
        self._client = self._make_client()
        self._acks = Acks(lambda mid: self._client.ack(mid, 1))

    def __enter__(self) -> Session:
        self._receiving = True
        where = (self._options.address.host, self._options.address.port, self._options.keepalive_s)
        if self._options.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = self._options.session_expiry_s
            properties.ReceiveMaximum = min(self._options.max_incoming, MOST_IN_FLIGHT)  # so that all of them fit
            self._client.connect_async(*where, clean_start=False, properties=properties)
        else:
            self._client.connect_async(*where)
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_receiving()  # else a network thread that waits on a full queue would not end
        if self._connected:
            info = self._client.publish(self._status_topic, b"offline", qos=1, retain=True)
            try:
                info.wait_for_publish(2.0)
            except (RuntimeError, ValueError):
                log.warning("could not publish offline: the broker is gone")
        self._client.disconnect()
        self._client.loop_stop()

    def on_notice(self, topic: str, callback: Callable[[bytes], None]) -> None:
        """Subscribes to `topic` at QoS 0 too, with the next connection: `callback` gets each payload at once, on the
        network thread. Such messages are not queued and not counted."""
        self._notices[topic] = callback

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def alive(self) -> bool:
        """Whether paho's thread lives: an error that paho doesn't expect ends it, such as a host that is no name."""
        return self._client._thread is not None

    @property
    def turns(self) -> int:
        """Grows as long as the network thread makes progress: with each turn of its loop, attempt to connect, message,
        and look at a full queue."""
        return self._client.turns + self._backoff.failures + self._waits

    @property
    def evicted(self) -> str:
        """A sentence where another client seems to take each connection away; else empty."""
        if self._connected:
            self._backoff.stable(monotonic())
        if not self._backoff.evicted:
            return ""
        return f"the broker ends each connection soon: another client may be connecting as {self._options.client_id!r}"

    def acknowledge(self, message: Message) -> None:
        """Acknowledges `message`. Call in any order: acknowledgements are sent in the order of arrival."""
        if message.qos:
            self._acks.acknowledge(message.mid, message.epoch)

    def stop_receiving(self) -> None:
        """From now on incoming messages stay unacknowledged, so the broker keeps them for the next start."""
        self._receiving = False

    def _make_client(self) -> Client:
        options, five = self._options, self._options.protocol == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else False,
            transport=options.address.transport,
            manual_ack=True,
        )
        log_in(client, options.address)
        client.max_inflight_messages_set(
            0
        )  # no limit in paho, whose costs time for each message in flight: the outbox has one
        client.will_set(self._status_topic, b"offline", qos=1, retain=True)
        client.on_connect = self._guarded(self._on_connect)
        client.on_connect_fail = self._guarded(self._on_connect_fail)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_message = self._guarded(self._on_message)
        client.on_publish = self._guarded(self._on_publish)
        return client

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """An exception in a callback would end paho's thread only, not the process: it is kept for the main thread."""

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
        self.reconnects += self._backoff.failures > 0
        self._backoff.connected(monotonic())
        self._connected = True
        self.connections += 1
        client.subscribe([*((topic, 1) for topic in self._topics), *((topic, 0) for topic in self._notices)])
        client.publish(self._status_topic, b"online", qos=1, retain=True)
        most = self._options.max_inflight
        accepted = getattr(properties, "ReceiveMaximum", MOST_IN_FLIGHT) - 1  # MQTT 5; one is the status
        self._max_in_flight = max(1, min(most, accepted))
        log.info("connected to %s", self._options.address)

    def _on_subscribe(self, _client: paho.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            log.error("the broker refused the subscription to %s", ", ".join(refused))
        self.subscribed = not refused
        self.tried.set()
        # Not before: after `on_connect` paho sends again what was in flight, and nothing newer must overtake it.
        self.outbox.connected(self._max_in_flight)

    def _on_connect_fail(self, _client: paho.Client, _data: Any) -> None:
        # paho calls this from its except block and passes no reason.
        reason = sys.exception() or "no answer"
        self._limited.warning("unreachable", "can't reach a broker at %s: %s", self._options.address, reason)
        self._wait(self._backoff.failed())
        self.tried.set()

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        was, self._connected, self.subscribed = self._connected, False, False
        self.outbox.disconnected()
        self._acks.reset()  # later acknowledgements of this connection's messages are ignored
        if was and self._receiving:
            self._limited.warning("lost", "lost the connection: %s", reason)
        if was:
            taken_over = getattr(reason, "value", 0) == TAKEN_OVER
            self._wait(self._backoff.lost(monotonic(), taken_over))
        if self.evicted:
            self._limited.warning("evicted", "%s", self.evicted)

    def _wait(self, delay_s: Any) -> None:  # paho says int, and takes any number
        self._client.reconnect_delay_set(delay_s, delay_s)

    def _on_message(self, _client: paho.Client, _data: Any, raw: paho.MQTTMessage) -> None:
        if not self._receiving:
            return
        if notice := self._notices.get(raw.topic):
            notice(bytes(raw.payload))
            return
        if raw.qos:
            self._acks.received(raw.mid)
        content_type = getattr(raw.properties, "ContentType", None) if raw.properties else None
        message = Message(
            raw.topic, bytes(raw.payload), monotonic(), time(), raw.mid, raw.qos, self._acks.epoch, content_type,
            raw.dup, raw.retain,
        )  # fmt: skip
        self._waits += 1
        while (full := self._full()) and raw.qos and self._receiving:
            sleep(FULL_QUEUE_POLL_S)  # no time limit: if the assemble thread is stuck, the watchdog ends the process
            self._waits += 1
        if not self._receiving:  # the broker keeps it for the next start
            return
        self._on_received()
        if full:
            self._on_shed()
        else:
            self.incoming.put(message)

    def _full(self) -> bool:
        return self.incoming.qsize() >= self._options.max_incoming

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
        self.outbox.acknowledged(mid)

    def _publish(self, outgoing: Outgoing) -> int | None:
        info = self._client.publish(
            outgoing.topic, outgoing.render(), outgoing.qos, outgoing.retain, self._properties(outgoing)
        )
        kept = outgoing.qos and info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE
        return info.mid if kept or info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def _properties(self, outgoing: Outgoing) -> Properties | None:
        if outgoing.expires_at is None or self._options.protocol != "5":
            return None
        return expiring(min(max(1, round(outgoing.expires_at - time())), LONGEST_EXPIRY_S))


@lru_cache(maxsize=16)  # most messages expire after the same time
def expiring(within_s: int) -> Properties:
    """The properties that tell an MQTT 5 broker to keep a message no longer than that."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = within_s
    return properties
