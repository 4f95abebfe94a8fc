"""Another MQTT client on a test's broker, and waiting for what other processes bring about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from support.mosquitto import Mosquitto


def eventually(holds: Callable[[], Any], within_s: float = 60.0) -> None:
    """Waits for something that other processes bring about, and that stays once it has come about."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


class Listener:
    """Another client on the broker: remembers what it sees, last payload by topic and all payloads."""

    def __init__(self, broker: Mosquitto, topic: str = "#") -> None:
        self.last: dict[str, bytes] = {}
        self.all: list[tuple[str, bytes]] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.max_inflight_messages_set(500)
        self.subscriptions = 0  # that the broker has confirmed: one a connection
        self.client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]
        self.client.connect_async(broker.host, broker.port)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self.all.append((message.topic, message.payload))
        self.last[message.topic] = message.payload

    def _on_subscribe(self, *_: Any) -> None:
        self.subscriptions += 1

    def __enter__(self) -> Listener:
        self.client.loop_start()
        eventually(lambda: self.subscriptions)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
