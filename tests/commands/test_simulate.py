"""`hard simulate` against a real broker."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from support.mosquitto import Mosquitto

from hard.commands import simulate
from hard.errors import UsageError
from hard.mqtt.simple_client import SimpleClient

ROOT = Path(__file__).resolve().parents[2]


def options(mosquitto: Mosquitto, **changes: object) -> Namespace:
    defaults = {"devices": 1, "seconds": None, "rate": 50.0, "seed": 0, "one_activity": None, "format": "json"}
    return Namespace(broker=mosquitto.url, config=None, topic="there/{device}/raw", **{**defaults, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("rate", [20.0, 50.0])
def test_each_device_sends_a_message_a_second_and_they_are_spread_over_it(
    mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str], rate: float
) -> None:
    asked = options(mosquitto, devices=4, seconds=3, rate=rate, one_activity="Sitting")
    with SimpleClient(mosquitto.address, ("there/+/raw",)) as listener:
        assert simulate.main(asked) == 0
        messages = [listener.received.get(timeout=60) for _ in range(12)]
    assert [topic for topic, _ in messages] == [f"there/sim-{i}/raw" for i in (1, 2, 3, 4)] * 3
    payloads = [json.loads(payload) for _, payload in messages]
    assert {len(payload["xyz"]) for payload in payloads} == {rate}
    np.testing.assert_allclose(np.diff([payload["t0"] for payload in payloads]), 0.25, atol=1e-5)
    summary = capsys.readouterr().err
    assert f"12 messages, {12 * rate:.0f} samples published; 12 messages acknowledged" in summary


@pytest.mark.slow
def test_another_format_is_written_message_by_message(mosquitto: Mosquitto) -> None:
    with SimpleClient(mosquitto.address, ("there/+/raw",)) as listener:
        assert simulate.main(options(mosquitto, seconds=1, rate=20.0, format="sensorspot")) == 0
        messages = [json.loads(listener.received.get(timeout=60)[1]) for _ in range(20)]
    assert {message["type"] for message in messages} == {"android.sensor.accelerometer"}
    np.testing.assert_allclose(np.diff([message["timestamp"] for message in messages]), 5e7, rtol=1e-3)


def test_an_unknown_activity_is_refused(mosquitto: Mosquitto) -> None:
    with pytest.raises(UsageError, match="can't simulate Flying; known are"):
        simulate.main(options(mosquitto, one_activity="Flying"))


@pytest.mark.slow
def test_ctrl_c_ends_it_with_its_counts(mosquitto: Mosquitto) -> None:
    with SimpleClient(mosquitto.address, ("sensors/#",)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "hard", "simulate", "--broker", mosquitto.url],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        listener.received.get(timeout=120)  # it has begun
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.fullmatch(r"hard: 1 wearer: \d+ messages, .*\n", err)
