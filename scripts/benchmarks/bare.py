"""The least that a daemon on paho costs: it receives messages and for each publishes one of a label's size.

python -m benchmarks.bare 1883
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

LABEL = b'{"latency_s":{"total":0.0},"rest":"' + b"x" * 480 + b'"}'  # as long as a label of HARD


def main() -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bare")
    client.max_inflight_messages_set(1000)

    def on_connect(client: paho.Client, *_: Any) -> None:
        client.subscribe("sensors/+/accel", 1)

    def on_message(client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        client.publish(f"hard/{message.topic.split('/')[1]}/activity", LABEL, 1)

    client.on_connect, client.on_message = on_connect, on_message
    client.on_subscribe = lambda *_: print("ready: bare")
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
