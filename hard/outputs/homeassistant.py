"""Home Assistant's MQTT device discovery: one retained message a device that makes it appear there with its activity,
confidence, problems, last seen and availability. The publisher calls it; it knows no sample and no model.

Keys: Home Assistant's documentation of the MQTT integration, "Device discovery payload" and "MQTT sensor".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import msgspec

from hard.mqtt.outbox import Outgoing

BIRTH_TOPIC = "homeassistant/status"  # Home Assistant says `online` here when it has started
ANNOUNCEMENTS_PER_TICK = 100  # so that a fleet's discovery doesn't push labels out of the outbox
ACTIVITY = "{{ None if value_json.label == 'unknown' else value_json.label }}"  # None is Home Assistant's own `unknown`
CONFIDENCE = "{{ (100 * value_json.confidence) | round(1) }}"
PROBLEM = "{{ 'ON' if value_json.problems else 'OFF' }}"
# To the minute, on the gateway's clock: Home Assistant stores every change of a state.
LAST_SEEN = "{{ ((value_json.end - value_json.clock_offset_s) // 60 * 60) | as_datetime }}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What every announcement contains: the model's name, the states that a device may have, and HARD's version."""

    model: str
    states: tuple[str, ...]
    version: str


class Discovery:
    """Announces devices that have labels, and no others. Thread-safe; the main thread calls `tick` once a second."""

    def __init__(self, put: Callable[[Outgoing], None], facts: Facts, *, prefix: str, status_topic: str) -> None:
        self._put, self._facts, self._prefix, self._status_topic = put, facts, prefix, status_topic
        self._available: dict[str, bool] = {}  # devices announced, and whether they send
        self._due: dict[str, None] = {}  # devices to be announced again, in order
        self._announced: tuple[int, Facts] | None = None
        self._restarted = False
        self._lock = Lock()

    def change(self, facts: Facts) -> None:
        """Another model labels: every device is announced again from the next `tick` on."""
        self._facts = facts

    def birth(self, payload: bytes) -> None:
        """Home Assistant's own status: when it comes online, all devices are announced again."""
        self._restarted = self._restarted or payload == b"online"

    def tick(self, connections: int) -> None:
        """Announces devices again, some at each call: all of them after Home Assistant has started, after a new
        connection (`connections` counts; the broker may have lost the messages), and when another model labels."""
        now = connections, self._facts
        with self._lock:
            if self._restarted or now != self._announced:
                self._restarted, self._announced = False, now
                self._due = dict.fromkeys(self._available)
            devices = [(device, self._available[device]) for device in list(self._due)[:ANNOUNCEMENTS_PER_TICK]]
            for device, available in devices:
                del self._due[device]
                self._announce(device, available)

    def live(self, device: str) -> None:
        """The device has its first label, or one after a silence."""
        with self._lock:
            new = device not in self._available
            self._available[device] = True
            if new:
                self._announce(device, available=True)
            else:
                self._retain(self._availability_topic(device), b"online")

    def silent(self, device: str) -> None:
        """The device sends no more; an earlier process may have announced it."""
        with self._lock:
            if device in self._available:
                self._available[device] = False
            self._retain(self._availability_topic(device), b"offline")

    def forgotten(self, device: str) -> None:
        """Removes the device from Home Assistant."""
        with self._lock:
            self._available.pop(device, None)
            self._due.pop(device, None)
            self._retain(self._config_topic(device), b"")
            self._retain(self._availability_topic(device), b"")

    def _announce(self, device: str, available: bool) -> None:
        self._retain(self._config_topic(device), msgspec.json.encode(self._config(device)))
        self._retain(self._availability_topic(device), b"online" if available else b"offline")

    def _retain(self, topic: str, payload: bytes) -> None:
        self._put(Outgoing(topic, lambda: payload, 1, retain=True))

    def _config_topic(self, device: str) -> str:
        return f"homeassistant/device/{self._id(device)}/config"

    def _availability_topic(self, device: str) -> str:
        return f"{self._prefix}/{device}/availability"

    def _id(self, device: str) -> str:
        """The device as Home Assistant names it: letters, digits, _ and - only, different for each device."""
        if self._prefix == "hard" and re.fullmatch("[A-Za-z0-9_-]+", device):
            return f"hard_{device}"
        topic = f"{self._prefix}/{device}"
        return f"hard_{re.sub('[^A-Za-z0-9_-]', '_', device)}_{hashlib.sha256(topic.encode()).hexdigest()[:12]}"

    def _config(self, device: str) -> dict[str, Any]:
        facts, own = self._facts, self._id(device)
        topic = f"{self._prefix}/{device}"

        def sensor(
            name: str, key: str, state: str, template: str, platform: str = "sensor", **more: Any
        ) -> dict[str, Any]:
            return {
                "platform": platform, "name": name, "unique_id": f"{own}_{key}",
                "state_topic": f"{topic}/{state}", "value_template": template, **more,
            }  # fmt: skip

        return {
            "device": {
                "identifiers": [own], "name": device, "manufacturer": "HARD", "model": facts.model,
                "sw_version": facts.version,
            },
            "origin": {"name": "HARD", "sw_version": facts.version},
            "availability": [{"topic": self._status_topic}, {"topic": self._availability_topic(device)}],
            "availability_mode": "all",
            "qos": 1,
            "components": {
                "activity": sensor(
                    "Activity", "activity", "state", ACTIVITY, device_class="enum", options=list(facts.states),
                    icon="mdi:walk",
                ),
                "confidence": sensor(
                    "Confidence", "confidence", "state", CONFIDENCE, unit_of_measurement="%",
                    state_class="measurement", suggested_display_precision=0, entity_category="diagnostic",
                ),
                "problem": sensor(
                    "Problem", "problem", "diagnosis", PROBLEM, "binary_sensor", device_class="problem",
                    json_attributes_topic=f"{topic}/diagnosis", entity_category="diagnostic",
                ),
                "last_seen": sensor(
                    "Last seen", "last_seen", "activity", LAST_SEEN, device_class="timestamp",
                    entity_category="diagnostic",
                ),
            },
        }  # fmt: skip
