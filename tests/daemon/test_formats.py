"""One daemon behind a real broker, and a device that sends in each format."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from support.daemon import daemon, discrepancies, labels
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto
from support.payloads import SETTINGS, settings_of

from hard.formats.writers import WRITERS, Batch
from hard.mqtt.simple_client import SimpleClient
from hard.simulator import Wearer

RATE_HZ, SECONDS = 50.0, 7
NAMED_BY_PAYLOAD = "phone"  # sends Sensor Logger to a topic without {device}


def entries() -> list[dict[str, Any]]:
    """Of [[devices]]: one for each format, by the name of its device."""
    own = [{"match": f"{name}-*", **settings_of(name)} for name in SETTINGS]
    return [*own, {"match": "sensor-logger", "format": "sensorlogger"}]


@pytest.mark.slow
def test_every_format_is_labelled_by_one_daemon(mosquitto: Mosquitto) -> None:
    overrides = (
        'ingest.topics=["sensors/{device}/accel", "sensor-logger"]', f"devices={json.dumps(entries())}",
    )  # fmt: skip
    with daemon(mosquitto.port, *overrides) as running, Listener(mosquitto) as listener:
        running.ready()
        begin, begin_wall = time.monotonic(), time.time()
        wearers = {name: Wearer(7, RATE_HZ, start=begin_wall, among=("Walking",)) for name in (*SETTINGS, "topicless")}
        with SimpleClient(mosquitto.address) as client:
            for second in range(SECONDS):
                time.sleep(max(0.0, begin + second + 1 - time.monotonic()))
                for name, wearer in wearers.items():
                    motion = wearer.take(round(RATE_HZ))
                    device = NAMED_BY_PAYLOAD if name == "topicless" else f"{name}-1"
                    batch = Batch(motion.time, motion.xyz, RATE_HZ, device, begin_wall - 100)
                    topic = "sensor-logger" if name == "topicless" else f"sensors/{device}/accel"
                    for payload in WRITERS["sensorlogger" if name == "topicless" else name](batch):
                        client.publish(topic, payload)
        devices = [*(f"{name}-1" for name in SETTINGS), NAMED_BY_PAYLOAD]
        eventually(lambda: all(len(labels(listener, device)) >= 2 for device in devices))
        for device in devices:
            found = labels(listener, device)[-1]
            assert found["label"] == "Walking", device
            assert abs(found["start"] - begin_wall) < 6, device
            assert found["coverage"] == pytest.approx(1.0), device
        eventually(lambda: not np.any(list(discrepancies(running).values())))
        metrics = running.metrics()
        assert metrics['hard_messages_total{outcome="malformed"}'] == 0
        assert running.stop() == 0
