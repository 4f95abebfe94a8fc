"""The client side of MQTT for the commands that play with a daemon: an address, one session, messages of samples.

Not the daemon's own session (hard/mqtt/session.py): this one is short-lived, blocks its caller when the broker is slow,
and gives up with a sentence.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hard.errors import CommandError, UsageError
from hard.records import Float64Array

CONNECT_S = 10.0
STALLED_S = 30.0  # a broker that acknowledges nothing for so long is given up
IN_FLIGHT = 200  # published messages not yet acknowledged
RECEIVED = 10_000  # messages received and not yet looked at; more are dropped, for people can't read faster
REGULAR_S = 5e-5  # times that lie so close to an even grid are sent as a grid


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is, and who we are there."""

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def address(url: str) -> Address:
    """Reads `mqtt://[user[:password]@]host[:port]` or `mqtts://…`. Raises UsageError; never repeats a password."""
    try:
        parts = urlsplit(url if "//" in url else f"mqtt://{url}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or port == 0 or parts.path not in ("", "/"):
        raise UsageError("a broker is written mqtt://[user[:password]@]host[:port], or mqtts:// for TLS")
    tls = parts.scheme == "mqtts"
    user, password = (unquote(part) if part is not None else None for part in (parts.username, parts.password))
    return Address(parts.hostname, port or (8883 if tls else 1883), tls, user, password)


class Link:
    """One session, a context manager: connected and subscribed inside the block; at its end everything published is
    acknowledged. A clean session: an earlier one of `client_id` ends.

    `acknowledged` and `published` count messages. Received messages wait in `received` as (topic, payload). One thread
    publishes at a time. Raises CommandError where the broker can't be reached, refuses, or stalls.
    """

    def __init__(self, url: str, topics: tuple[str, ...] = (), client_id: str = "") -> None:
        self.address, self._topics = address(url), topics
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue(RECEIVED)
        self.published = self.acknowledged = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id)
        self._room = threading.Semaphore(IN_FLIGHT)
        self._ready = threading.Event()
        self._refused: str | None = None

    def __enter__(self) -> Link:
        client, where = self._client, self.address
        client.on_connect, client.on_publish, client.on_message = self._on_connect, self._on_publish, self._on_message
        client.on_subscribe = self._on_subscribe
        if where.user is not None:
            client.username_pw_set(where.user, where.password)
        if where.tls:
            client.tls_set()
        try:
            client.connect(where.host, where.port, keepalive=30)
        except (OSError, ValueError) as error:
            raise CommandError(f"no broker answers at {where} ({_reason(error)})") from error
        client.loop_start()
        if not self._ready.wait(CONNECT_S) or self._refused:
            self._close()
            why = self._refused or f"no answer in {CONNECT_S:g} s"
            raise CommandError(f"the broker at {where} does not let us in: {why}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.settle()
        finally:
            self._close()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publishes at QoS 1; waits while too many messages are unacknowledged."""
        if not self._room.acquire(timeout=STALLED_S):
            raise self._stalled()
        self.published += 1
        self._client.publish(topic, payload, qos=1, retain=retain)

    def settle(self) -> None:
        """Returns when everything published is acknowledged."""
        before, since = self.acknowledged, time.monotonic()
        while self.acknowledged < self.published:
            if self.acknowledged > before:
                before, since = self.acknowledged, time.monotonic()
            elif time.monotonic() - since > STALLED_S:
                raise self._stalled()
            time.sleep(0.01)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._client.disconnect()
        self._client.loop_stop()

    def _stalled(self) -> CommandError:
        waiting = self.published - self.acknowledged
        return CommandError(
            f"the broker at {self.address} acknowledged nothing for {STALLED_S:g} s; {waiting} messages wait"
        )

    def _on_connect(self, client: paho.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason)
        elif self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
            return  # what others publish before the broker confirms it would not come
        self._ready.set()

    def _on_subscribe(self, _: Any, __: Any, ___: int, reasons: list[Any], ____: Any) -> None:
        self._refused = next((str(reason) for reason in reasons if reason.is_failure), None)
        self._ready.set()

    def _on_publish(self, *_: Any) -> None:
        self.acknowledged += 1
        self._room.release()

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        with contextlib.suppress(queue.Full):
            self.received.put_nowait((message.topic, bytes(message.payload)))


def batch(time_s: Float64Array, xyz: Float64Array, rate_hz: float) -> bytes:
    """One native JSON message of samples: an even grid where the times are regular, else a time for each sample."""
    values = xyz.round(5)
    even = time_s[0] + np.arange(len(time_s)) / rate_hz
    if np.abs(time_s - even).max() <= REGULAR_S:
        return msgspec.json.encode({"t0": round(float(time_s[0]), 6), "rate": rate_hz, "xyz": values.tolist()})
    columns = dict(zip("xyz", values.T.tolist(), strict=True))
    return msgspec.json.encode({"t": time_s.round(6).tolist(), **columns})


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
