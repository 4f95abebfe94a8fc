"""A small MQTT client for commands, scripts and tests: it waits when the broker is slow, and gives up with a sentence.

The daemon's own connection is hard/mqtt/session.py.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hard.errors import CommandError
from hard.mqtt.broker_address import BrokerAddress
from hard.mqtt.paho_client import log_in

CONNECT_S = 10.0
STALLED_S = 30.0  # a broker that acknowledges nothing for so long is given up
MAX_IN_FLIGHT = 200  # published messages not yet acknowledged
MAX_RECEIVED = 10_000  # messages received and not yet taken; more are dropped, since people can't read faster


class SimpleClient:
    """One connection, a context manager: connected and subscribed inside the block; at its end everything published is
    acknowledged. It connects again when the connection is lost.

    `acknowledged` and `published` count messages. Received messages wait in `received` as (topic, payload), or go to
    `on_message` as (topic, payload, retained), on the network thread. One thread
    publishes at a time. With a clean session the broker forgets an earlier one of `client_id`; otherwise
    `session_present` says whether it had kept one. Raises CommandError where the broker can't be reached, refuses, or
    acknowledges nothing for `stalled_s`.
    """

    def __init__(
        self, address: BrokerAddress, topics: tuple[str, ...] = (), *, client_id: str = "", clean_session: bool = True,
        connect_s: float = CONNECT_S, stalled_s: float = STALLED_S,
        on_message: Callable[[str, bytes, bool], None] | None = None,
    ) -> None:  # fmt: skip
        self.address, self._topics = address, topics
        self._connect_s, self._stalled_s, self._heard = connect_s, stalled_s, on_message
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue(MAX_RECEIVED)
        self.published = self.acknowledged = 0
        self.session_present = False
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=clean_session, transport=address.transport
        )
        self._acknowledgement = threading.Condition()
        self._ready = threading.Event()
        self._refusal: str | None = None

    def __enter__(self) -> Self:
        client, address = self._client, self.address
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_publish, client.on_message = self._on_publish, self._on_message
        log_in(client, address)
        try:
            client.connect(address.host, address.port, keepalive=30)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise CommandError(f"no broker answers at {address} ({reason})") from error
        client.loop_start()
        if not self._ready.wait(self._connect_s) or self._refusal:
            self._disconnect()
            problem = self._refusal or f"does not answer in {self._connect_s:.3g} s"
            raise CommandError(f"the broker at {address} {problem}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.wait_acknowledged()
        finally:
            self._disconnect()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publishes at QoS 1; waits while MAX_IN_FLIGHT messages are unacknowledged."""
        self._wait_for_at_most(MAX_IN_FLIGHT - 1)
        self.published += 1
        self._client.publish(topic, payload, qos=1, retain=retain)

    def wait_acknowledged(self) -> None:
        """Returns when everything published is acknowledged."""
        self._wait_for_at_most(0)

    def _wait_for_at_most(self, messages: int) -> None:
        """Returns when no more than so many are unacknowledged; each acknowledgement gives the broker more time."""
        with self._acknowledgement:
            while (waiting := self.published - self.acknowledged) > messages:
                if not self._acknowledgement.wait(self._stalled_s):
                    raise CommandError(
                        f"the broker at {self.address} acknowledged nothing for {self._stalled_s:g} s; "
                        f"{waiting} messages wait"
                    )

    def _disconnect(self) -> None:
        with contextlib.suppress(OSError):
            self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, _: Any, flags: Any, reason: Any, __: Any) -> None:
        self.session_present = flags.session_present
        if reason.is_failure:
            self._refusal = f"refuses the connection: {reason}"
        elif self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
            return  # ready when the broker confirms: before, it delivers nothing
        self._ready.set()

    def _on_subscribe(self, _: Any, __: Any, ___: int, reasons: list[Any], ____: Any) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._refusal = f"refuses the subscription: {reason}"
        self._ready.set()

    def _on_publish(self, *_: Any) -> None:
        with self._acknowledgement:
            self.acknowledged += 1
            self._acknowledgement.notify_all()

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        if self._heard:
            self._heard(message.topic, bytes(message.payload), message.retain)
            return
        with contextlib.suppress(queue.Full):
            self.received.put_nowait((message.topic, bytes(message.payload)))
