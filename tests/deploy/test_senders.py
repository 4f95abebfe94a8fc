"""deploy/senders: what they send is what HARD reads. The boards are stubs; the sketch's payload is compiled."""

from __future__ import annotations

import importlib.util
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from hard.formats import native_json, phyphox

SENDERS = Path(__file__).resolve().parents[2] / "deploy" / "senders"


def experiment() -> ElementTree.Element:
    return ElementTree.parse(SENDERS / "hard.phyphox").getroot()


def test_the_experiment_sends_each_buffer_of_the_accelerometer_and_its_time_each_second() -> None:
    root = experiment()
    buffers = {container.text for container in root.iter("container")}
    outputs = {output.get("component"): output.text for output in root.iter("output")}
    assert root.find("input/sensor").get("type") == "accelerometer"  # type: ignore[union-attr]  # with gravity
    (connection,) = root.iter("connection")
    assert (connection.get("service"), connection.get("interval")) == ("mqtt/json", "1")
    assert str(connection.get("sendTopic")).split("/") == ["sensors", "phone-1", "accel"]
    sent = {send.get("id"): send.text for send in connection.iter("send") if send.get("type") == "buffer"}
    assert set(sent.values()) == set(outputs.values()) == buffers
    assert [send.get("id") for send in connection.iter("send") if send.get("type") == "time"] == ["time"]
    assert all(send.get("keep") == "false" for send in connection.iter("send") if send.get("type") == "buffer")


def test_hard_s_format_phyphox_reads_what_the_experiment_sends() -> None:
    """As phyphox's documentation has mqtt/json: an array for each buffer under its id, and the events of `time`."""
    time_s = np.arange(50) / 50 + 3.0
    columns = {"x": time_s * 0, "y": time_s * 0 + 9.8, "z": time_s, "t": time_s}
    outputs = {output.text: columns[str(output.get("component"))].tolist() for output in experiment().iter("output")}
    (connection,) = experiment().iter("connection")
    sent: dict[str, object] = {
        str(send.get("id")): outputs[send.text] for send in connection.iter("send") if send.get("type") == "buffer"
    }
    start = {"event": "START", "experimentTime": 0.0, "systemTime": 1.7e9}
    raw = phyphox.read(json.dumps(sent | {"time": {"now": 4.0, "events": [start]}}).encode())
    assert raw.time is not None
    np.testing.assert_allclose(raw.time, 1.7e9 + time_s)
    np.testing.assert_allclose(raw.xyz, np.stack([columns[axis] for axis in "xyz"], axis=1))


class Board:
    """What MicroPython's modules do: a sensor at rest in a range of 4 g, a timer that fires while the program sleeps,
    a clock that counts from 2000, and a broker."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.written: dict[int, bytes] = {}
        self.tick: Callable[[Any], None] = lambda _: None
        self.refusals = 0

    def sleep_ms(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.tick(None)

    def publish(self, topic: str, text: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("the network is away")
        self.sent.append((topic, text))

    def modules(self) -> dict[str, ModuleType]:
        def module(name: str, **content: object) -> ModuleType:
            made = ModuleType(name)
            made.__dict__.update(content)
            return made

        def write(_address: int, register: int, data: bytes) -> None:
            self.written[register] = data

        def start(period: int, callback: Callable[[Any], None]) -> None:
            assert period == 20
            self.tick = callback

        def part(**content: object) -> Any:
            return type("Part", (), {name: staticmethod(value) for name, value in content.items()})()

        i2c = part(readfrom_mem=lambda *_: struct.pack(">3h", 0, 8192, -4096), writeto_mem=write)
        wlan = part(active=lambda _: None, connect=lambda *_: None, isconnected=lambda: True)
        client = part(connect=lambda: None, publish=self.publish)
        return {
            "network": module("network", STA_IF=0, WLAN=lambda _: wlan),
            "ntptime": module("ntptime", settime=lambda: None),
            "machine": module("machine", I2C=lambda *_, **__: i2c, Pin=lambda n: n, Timer=lambda _: part(init=start)),
            "umqtt": module("umqtt"),
            "umqtt.simple": module("umqtt.simple", MQTTClient=lambda *_, **__: client),
            "time": module(
                "time", gmtime=lambda _: (2000,), time=lambda: 1_700_000_000 - 946_684_800, sleep_ms=self.sleep_ms
            ),
        }


def loaded(board: Board) -> Any:
    """The MicroPython file as a module that has this board's modules."""
    spec = importlib.util.spec_from_file_location("hard_sender", SENDERS / "hard_sender.py")
    assert spec is not None
    assert spec.loader is not None
    sender = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        for name, module in board.modules().items():
            patched.setitem(sys.modules, name, module)
        spec.loader.exec_module(sender)
    return sender


@pytest.mark.parametrize("refusals", [0, 1])
def test_the_micropython_sender_sends_a_second_in_each_message(refusals: int) -> None:
    board = Board()
    board.refusals = refusals
    loaded(board).main(seconds=3 + refusals)
    assert {topic for topic, _ in board.sent} == {"sensors/belt-7/accel"}
    assert board.written == {0x6B: b"\0", 0x1C: b"\x08"}
    read = [native_json.read(text.encode()) for _, text in board.sent]
    assert [raw.t0 for raw in read] == [1_700_000_000 + second for second in range(refusals, 3 + refusals)]
    for raw in read:
        assert raw.rate_hz == 50
        np.testing.assert_allclose(raw.xyz, [[0, 9.81, -4.9]] * 50, atol=0.01)


def test_the_micropython_sender_loses_old_samples_where_the_network_stays_away() -> None:
    board = Board()
    sampler = loaded(board).Sampler(board.modules()["machine"].I2C())
    for _ in range(260):
        sampler.sample(None)
    assert sampler.take() is None  # ten rows are left of the newest
    for _ in range(40):
        sampler.sample(None)
    first, rows = sampler.take()
    assert (first, len(rows)) == (250, 50)


def test_the_sketch_s_payload_is_read(tmp_path: Path) -> None:
    if (compiler := shutil.which("g++")) is None:
        pytest.skip("g++ is not installed (Debian: apt install g++)")
    (tmp_path / "main.cpp").write_text(
        '#include "payload.h"\n'
        "int main() {\n"
        "  float xyz[50][3];\n"
        "  for (int i = 0; i < 50; i++) { xyz[i][0] = -0.5f; xyz[i][1] = 9.81f; xyz[i][2] = i; }\n"
        "  char text[50 * 24 + 64];\n"
        "  if (payload(text, 100, 1700000000007LL, 50, xyz, 50)) return 1;\n"
        "  if (!payload(text, sizeof text, 1700000000007LL, 50, xyz, 50)) return 2;\n"
        "  puts(text);\n"
        "}\n"
    )
    program = tmp_path / "payload"
    include = SENDERS / "hard_sender"
    subprocess.run(
        [compiler, "-Wall", "-Werror", "-I", include, "-o", program, tmp_path / "main.cpp"], check=True, timeout=120
    )
    raw = native_json.read(subprocess.run([program], check=True, capture_output=True, timeout=60).stdout)
    assert (raw.t0, raw.rate_hz) == (1_700_000_000.007, 50)
    np.testing.assert_allclose(raw.xyz, [[-0.5, 9.81, i] for i in range(50)], atol=1e-6)
    sketch = (include / "hard_sender.ino").read_text()
    assert "setBufferSize(sizeof text" in sketch  # else PubSubClient drops the message
    assert 'TOPIC = "sensors/belt-7/accel"' in sketch
