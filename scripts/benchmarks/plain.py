"""A script of the kind people write: paho callback, a deque a device, transformers' `generate`, publish.

    python -m benchmarks.plain 1883 FOLDER

It labels with the same model and prompts as HARD; it takes only the text of the prompts from HARD.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict, deque
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import torch
from paho.mqtt.enums import CallbackAPIVersion
from transformers import AutoTokenizer, T5ForConditionalGeneration

from hard.model.classifier import load
from hard.records import Window


def main() -> None:
    port, folder = int(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = T5ForConditionalGeneration.from_pretrained(folder).eval()
    classifier = load(folder)
    bundle = classifier.bundle
    mounting, points = bundle.default_mounting(), bundle.manifest.window.points
    last: dict[str, deque[list[float]]] = defaultdict(lambda: deque(maxlen=points))
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="plain")

    def on_connect(client: paho.Client, *_: Any) -> None:
        client.subscribe("sensors/+/accel", 1)

    def on_message(client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        received_at, device = time.monotonic(), message.topic.split("/")[1]
        samples = last[device]
        samples.extend(json.loads(message.payload)["xyz"])
        if len(samples) < points:
            return
        xyz = np.array(samples, dtype=np.float32)
        axes = mounting.up, mounting.forward, False
        window = Window(device, 0.0, 4.0, xyz, 1.0, *axes, 0.0, received_at, 0.0)
        inputs = tokenizer(classifier.prompts([window])[0], return_tensors="pt")
        with torch.inference_mode():
            tokens = model.generate(**inputs, max_new_tokens=4)
        label = tokenizer.decode(tokens[0], skip_special_tokens=True)
        payload = {"device": device, "label": label, "latency_s": {"total": time.monotonic() - received_at}}
        client.publish(f"hard/{device}/activity", json.dumps(payload), 1)

    client.on_connect, client.on_message = on_connect, on_message
    client.on_subscribe = lambda *_: print("ready: plain")
    client.connect("127.0.0.1", port)
    client.loop_start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
