"""`hard replay`: a recording's samples arrive whole and in order, its jumps stay, its clocks are moved to now."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.mosquitto import Mosquitto

from hard import cli
from hard.commands.replay import sample_rate, schedule
from hard.mqtt.simple_client import SimpleClient
from hard.recordings.recordings import Recording


def run(start: float, seconds: float, *, subject: str = "1", rate_hz: float = 50.0) -> Recording:
    n = round(seconds * rate_hz)
    return Recording(subject, start + np.arange(n) / rate_hz, np.arange(3 * n, dtype=float).reshape(n, 3) / 100, None)


def test_a_message_holds_a_second_and_is_due_with_its_last_sample() -> None:
    made = list(schedule([run(5000, 3.5)], 1e9))
    assert [len(message.time) for message in made] == [50, 50, 50, 25]
    assert [message.due_s for message in made] == pytest.approx([0.98, 1.98, 2.98, 3.48])
    np.testing.assert_allclose(np.concatenate([p.time for p in made]), 1e9 + np.arange(175) / 50, rtol=0, atol=1e-6)


def test_a_jump_stays_in_device_time_but_is_not_waited_for() -> None:
    made = list(schedule([run(100, 2), run(160, 2), run(161.98 + 1.5, 2)], 0.0))
    clock, due = [message.time[0] for message in made], [message.due_s for message in made]
    assert clock == pytest.approx([0, 1, 60, 61, 63.48, 64.48])
    assert due == pytest.approx([0.98, 1.98, 4.94, 5.94, 8.42, 9.42], abs=0.05)


def test_a_jump_back_becomes_a_short_jump_forward() -> None:
    made = list(schedule([run(100, 2), run(50, 2)], 0.0))
    assert [message.time[0] for message in made] == pytest.approx([0, 1, 1.98 + 2, 1.98 + 3])


def test_subjects_are_replayed_at_the_same_time() -> None:
    made = list(schedule([run(100, 3, subject="a"), run(100, 3, subject="b"), run(900, 1, subject="a")], 0.0))
    assert [message.device for message in made] == ["a", "b", "a", "b", "a", "b", "a"]
    assert [message.due_s for message in made] == sorted(message.due_s for message in made)


def test_no_sample_is_lost_or_doubled_where_times_are_uneven() -> None:
    random = np.random.default_rng(3)
    steps = random.uniform(0.001, 0.9, 500)
    whole = Recording("1", 77 + np.cumsum(steps), random.normal(size=(500, 3)), None)
    made = list(schedule([whole], 0.0))
    np.testing.assert_array_equal(np.concatenate([message.xyz for message in made]), whole.xyz)
    np.testing.assert_allclose(
        np.concatenate([message.time for message in made]), whole.time - whole.time[0], atol=1e-9
    )


def test_the_rate_is_that_of_the_median_step() -> None:
    assert sample_rate(np.arange(100) / 20) == 20.0
    assert sample_rate(np.array([0.0])) == 1.0


def recording(folder: Path) -> Path:
    path = folder / "r.txt"
    lines = [
        f"{s},Walking,{(t0 + i * 20) * 10**6},{i},{s},0;" for s in (1, 2) for t0 in (5000, 90_000) for i in range(120)
    ]
    path.write_text("\n".join(lines))
    return path


def received(mosquitto: Mosquitto, arguments: list[str]) -> list[tuple[str, dict[str, Any]]]:
    with SimpleClient(mosquitto.address, ("sensors/#",)) as listener:
        assert cli.main(["replay", *arguments, "--broker", mosquitto.url]) == 0
        with SimpleClient(mosquitto.address) as last:
            last.publish("sensors/end", b"")
        came = iter(lambda: listener.received.get(timeout=60), ("sensors/end", b""))
        return [(topic, json.loads(payload)) for topic, payload in came]


def test_arrives_through_a_real_broker(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = time.time()
    messages = received(mosquitto, [str(recording(tmp_path)), "--speed", "0", "--subjects", "2"])
    assert {topic for topic, _ in messages} == {"sensors/2/accel"}
    assert all(payload["rate"] == 50 for _, payload in messages)
    assert [row[0] for _, payload in messages for row in payload["xyz"]] == [*range(120), *range(120)]
    starts = [payload["t0"] for _, payload in messages]
    assert before - 1 < starts[0] < time.time() + 1
    assert np.subtract(starts, starts[0]) == pytest.approx([0, 1, 2, 85, 86, 87], abs=1e-5)
    assert "6 messages, 240 of 240 samples published" in capsys.readouterr().err


def test_captured_messages_of_another_format_are_sent_as_ones_own(mosquitto: Mosquitto, tmp_path: Path) -> None:
    lines = [
        json.dumps([{"bn": "belt:", "bt": 1.7e9 + i / 50, "n": axis, "v": i / 100 + 9} for axis in "xyz"])
        for i in range(60)
    ]
    (tmp_path / "x.log").write_text("\n".join(lines))
    messages = received(mosquitto, [str(tmp_path / "x.log"), "--format", "senml", "--speed", "0"])
    assert {topic for topic, _ in messages} == {"sensors/belt/accel"}
    rows = [row for _, payload in messages for row in payload["xyz"]]
    np.testing.assert_allclose(rows, [[i / 100 + 9] * 3 for i in range(60)])


@pytest.mark.slow
def test_speed_paces_the_messages(mosquitto: Mosquitto, tmp_path: Path) -> None:
    begin = time.monotonic()
    assert len(received(mosquitto, [str(recording(tmp_path)), "--speed", "4"])) == 12
    # 2.38 s, at most 2 s of the jump, 2.38 s: at four times real time
    assert time.monotonic() - begin > 6.7 / 4


def test_a_subject_that_is_no_device_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.csv"
    path.write_text("t,x,y,z,subject\n0,1,2,3,a/b\n0.1,1,2,3,a/b\n")
    assert cli.main(["replay", str(path)]) == 2
    assert "'a/b' can't be a device" in capsys.readouterr().err
