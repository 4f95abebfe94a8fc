"""Home Assistant's discovery: payloads by its documented schema, rendered templates, devices that come and go."""

from __future__ import annotations

import json
import re
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.daemon import ACCEPT_ALL, batch, daemon
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto

from hard.mqtt.outbox import Outgoing
from hard.outputs.homeassistant import ANNOUNCEMENTS_PER_TICK, Discovery, Facts

STATES = ("Walking", "Sitting", "still", "unknown")
CONFIG = "homeassistant/device/hard_a/config"

# From the documentation of Home Assistant's MQTT integration: which keys there are, and what type each has.
# "Device discovery payload", "Adding information about the origin", "Using availability topics", "MQTT sensor".
DEVICE = {
    "identifiers": list, "connections": list, "manufacturer": str, "model": str, "model_id": str, "name": str,
    "hw_version": str, "serial_number": str, "sw_version": str, "via_device": str, "suggested_area": str,
    "configuration_url": str,
}  # fmt: skip
ORIGIN = {"name": str, "sw_version": str, "support_url": str}
AVAILABILITY = {"topic": str, "payload_available": str, "payload_not_available": str, "value_template": str}
SHARED = {
    "device": dict, "origin": dict, "components": dict, "availability": list, "availability_mode": str,
    "state_topic": str, "command_topic": str, "qos": int, "encoding": str,
}  # fmt: skip
SENSOR = {
    "platform": str, "name": str, "unique_id": str, "state_topic": str, "value_template": str, "device_class": str,
    "options": list, "icon": str, "unit_of_measurement": str, "state_class": str, "suggested_display_precision": int,
    "entity_category": str, "enabled_by_default": bool, "expire_after": int, "force_update": bool, "object_id": str,
    "default_entity_id": str, "json_attributes_topic": str, "json_attributes_template": str, "entity_picture": str,
    "last_reset_value_template": str, "qos": int, "encoding": str, "availability": list, "availability_mode": str,
}  # fmt: skip


def assert_typed(given: dict[str, Any], documented: dict[str, type], required: set[str]) -> None:
    assert set(given) <= set(documented)
    assert required <= set(given)
    for key, value in given.items():
        assert isinstance(value, documented[key]), key
        assert value not in ("", [], {}), key


def assert_as_documented(topic: str, config: dict[str, Any]) -> None:
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
    assert_typed(config, SHARED, {"device", "origin", "components"})
    assert_typed(config["device"], DEVICE, {"identifiers"})
    assert_typed(config["origin"], ORIGIN, {"name"})
    for availability in config["availability"]:
        assert_typed(availability, AVAILABILITY, {"topic"})
    assert config["availability_mode"] in ("all", "any", "latest")
    assert config["qos"] in (0, 1, 2)
    for component in config["components"].values():
        assert_typed(component, SENSOR, {"platform", "unique_id", "state_topic"})
        assert component["platform"] in ("sensor", "binary_sensor")
        assert component.get("entity_category", "diagnostic") in ("diagnostic", "config")
        assert component.get("state_class", "measurement") in ("measurement", "total", "total_increasing")
        # `options` goes with the device class `enum` and with neither state class nor unit, and enum needs it.
        assert (component.get("device_class") == "enum") == ("options" in component)
        if "options" in component or component.get("device_class") == "timestamp":
            assert not {"state_class", "unit_of_measurement"} & set(component)
    ids = [component["unique_id"] for component in config["components"].values()]
    assert len(set(ids)) == len(ids)


class Retained:
    """A discovery, and what a broker would keep of its messages."""

    def __init__(self, prefix: str = "hard") -> None:
        self.last: dict[str, bytes] = {}
        self.sent: list[str] = []
        self.discovery = Discovery(
            self.put, Facts("m-1", STATES, "1.0"), prefix=prefix, status_topic=f"{prefix}/status"
        )

    def put(self, outgoing: Outgoing) -> None:
        assert outgoing.retain
        self.sent.append(outgoing.topic)
        self.last[outgoing.topic] = outgoing.render()

    def again(self) -> list[str]:
        """What a tick sends now."""
        self.sent.clear()
        self.discovery.tick(1)
        return list(self.sent)

    def config(self, topic: str = CONFIG) -> dict[str, Any]:
        return dict(json.loads(self.last[topic]))


@pytest.mark.parametrize(
    ("prefix", "device"), [("hard", "a"), ("hard", "belt 7/ä"), ("home/hard", "a"), ("hard", "x" * 128)]
)
def test_a_payload_has_the_documented_keys_and_types(prefix: str, device: str) -> None:
    retained = Retained(prefix)
    retained.discovery.live(device)
    topic = next(topic for topic in retained.last if topic.startswith("homeassistant/"))
    assert_as_documented(topic, retained.config(topic))
    config = retained.config(topic)
    assert config["components"]["activity"]["options"] == list(STATES)
    assert config["components"]["activity"]["state_topic"] == f"{prefix}/{device}/state"
    assert [a["topic"] for a in config["availability"]] == [f"{prefix}/status", f"{prefix}/{device}/availability"]
    assert config["device"]["name"] == device


def test_names_that_home_assistant_does_not_accept_stay_distinct() -> None:
    retained = Retained()
    for device in ("belt 7", "belt_7", "belt.7", "belt-7"):
        retained.discovery.live(device)
    assert len([topic for topic in retained.last if topic.endswith("/config")]) == 4
    assert len({retained.config(t)["device"]["identifiers"][0] for t in retained.last if t.endswith("/config")}) == 4


def rendered(component: str, payload: dict[str, Any]) -> str:
    """The component's template, as Home Assistant would render it; `as_datetime` as it documents it."""
    jinja2 = pytest.importorskip("jinja2")
    retained = Retained()
    retained.discovery.live("a")
    environment = jinja2.Environment()
    environment.filters["as_datetime"] = lambda seconds: datetime.fromtimestamp(seconds, UTC)
    template = retained.config()["components"][component]["value_template"]
    return str(environment.from_string(template).render(value_json=payload))


def test_the_templates_render_what_the_sensors_accept() -> None:
    assert rendered("activity", {"label": "Walking"}) == "Walking"
    assert rendered("activity", {"label": "unknown"}) == "None"  # which Home Assistant shows as `unknown`
    assert rendered("confidence", {"confidence": 0.97345}) == "97.3"
    assert rendered("problem", {"problems": [{"kind": "unit"}]}) == "ON"
    assert rendered("problem", {"problems": []}) == "OFF"
    seen = rendered("last_seen", {"end": 1_700_000_050.5, "clock_offset_s": -10.0})
    assert datetime.fromisoformat(seen) == datetime(2023, 11, 14, 22, 14, tzinfo=UTC)


def test_a_device_is_announced_becomes_unavailable_returns_and_is_removed() -> None:
    retained = Retained()
    discovery, availability = retained.discovery, "hard/a/availability"
    discovery.live("a")
    assert retained.last[availability] == b"online"
    discovery.silent("a")
    assert retained.last[availability] == b"offline"
    retained.sent.clear()
    discovery.live("a")
    assert retained.sent == [availability]
    assert retained.last[availability] == b"online"
    discovery.forgotten("a")
    assert (retained.last[availability], retained.last[CONFIG]) == (b"", b"")
    assert retained.again() == []


def test_all_devices_are_announced_again_on_birth_on_a_new_connection_and_for_another_model() -> None:
    retained = Retained()
    retained.discovery.live("a")
    retained.discovery.silent("a")
    assert retained.again() == [CONFIG, "hard/a/availability"]  # the first connection
    assert retained.last["hard/a/availability"] == b"offline"
    assert retained.again() == []
    retained.discovery.birth(b"offline")
    assert retained.again() == []
    retained.discovery.birth(b"online")
    assert retained.again() == [CONFIG, "hard/a/availability"]
    retained.discovery.change(Facts("m-2", ("Walking", "Cycling"), "1.0"))
    assert retained.again() == [CONFIG, "hard/a/availability"]
    assert retained.config()["components"]["activity"]["options"] == ["Walking", "Cycling"]
    retained.discovery.tick(2)
    assert len(retained.sent) == 4


def test_many_devices_are_announced_over_several_ticks() -> None:
    retained = Retained()
    retained.again()
    for i in range(250):
        retained.discovery.live(f"d{i}")
    retained.discovery.birth(b"online")
    assert [len(retained.again()) for _ in range(4)] == [2 * ANNOUNCEMENTS_PER_TICK, 2 * ANNOUNCEMENTS_PER_TICK, 100, 0]


def test_off_by_default(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener, daemon(mosquitto.port) as running:
        running.ready()
        start = time.time() - 100
        for second in range(5):
            listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
        eventually(lambda: "hard/a/state" in listener.last)
        assert not [topic for topic in listener.last if "homeassistant" in topic or "availability" in topic]


@pytest.mark.slow
def test_devices_return_after_a_broker_without_persistence_and_a_restarted_home_assistant(
    mosquitto: Mosquitto,
) -> None:
    overrides = ("publish.homeassistant=true", "ingest.silent_after_s=5", "ingest.forget_after_s=16")
    with Listener(mosquitto) as listener, daemon(mosquitto.port, *overrides, *ACCEPT_ALL) as running:
        running.ready()
        start = time.time() - 100

        def send(device: str, first: int) -> None:
            for second in range(first, first + 5):
                listener.client.publish(f"sensors/{device}/accel", batch(start + second), qos=1)

        send("a", 0)
        eventually(lambda: listener.last.get("hard/a/availability") == b"online")
        eventually(lambda: CONFIG in listener.last)
        assert_as_documented(CONFIG, json.loads(listener.last[CONFIG]))

        mosquitto.stop(kill=True)  # without persistence: nothing retained comes back by itself
        listener.last.clear()
        mosquitto.start()
        eventually(lambda: listener.last.get(CONFIG) and listener.last.get("hard/status") == b"online")
        eventually(lambda: b"label" in listener.last.get("hard/a/state", b""))

        listener.last.clear()
        listener.client.publish("homeassistant/status", b"online")
        eventually(lambda: listener.last.get(CONFIG))
        assert running.metrics()['hard_messages_total{outcome="malformed"}'] == 0

        eventually(lambda: listener.last.get("hard/a/availability") == b"offline")
        eventually(lambda: b'"unknown"' in listener.last.get("hard/a/state", b""))
        send("a", 10)
        eventually(lambda: listener.last["hard/a/availability"] == b"online")
        eventually(lambda: listener.last[CONFIG] == b"")
        eventually(lambda: listener.last["hard/a/availability"] == listener.last["hard/a/state"] == b"")


@pytest.mark.slow
def test_a_device_that_fell_silent_while_the_daemon_was_down_becomes_unavailable(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    overrides = ("publish.homeassistant=true", "ingest.silent_after_s=3", "mqtt.client_id=stable")
    journal = ("state.durability=journal", f"state.dir={tmp_path / 'state'}")
    with Listener(mosquitto) as listener:
        with daemon(mosquitto.port, *overrides, *journal) as running:
            running.ready()
            start = time.time() - 100
            for second in range(6):
                listener.client.publish("sensors/a/accel", batch(start + second), qos=1)
            eventually(lambda: ("hard/a/availability", b"online") in listener.all)
            running.stop(signal.SIGKILL)
        listener.last.clear()
        with daemon(mosquitto.port, *overrides, *journal) as running:
            running.ready()
            eventually(lambda: listener.last.get("hard/a/availability") == b"offline")
            eventually(lambda: b'"unknown"' in listener.last.get("hard/a/state", b""))
