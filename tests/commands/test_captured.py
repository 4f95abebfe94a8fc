"""Captured messages of every format → columns of a recording."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from support.payloads import batch

from hard import cli
from hard.commands.arguments import FORMATS
from hard.commands.captured import read, settings_of
from hard.formats.formats import BY_NAME
from hard.formats.ready_made import READY_MADE
from hard.formats.writers import INT16_SCALE, WRITERS
from hard.recordings.tables import NoRecordError, NoTimesError, Table
from hard.records import Float64Array
from hard.simulator import Wearer

BINARY = {"msgpack", "cbor", "int16"}
NAMED = {"senml", "sensorlogger", "movesense", "edgeimpulse"}
OPTIONS = {"int16": {"unit": str(INT16_SCALE), "rate": 50.0}}


def options(name: str, **changes: object) -> Namespace:
    defaults = {"format": name, "mapping": None, "rate": None, "time_unit": None, "unit": None}
    return Namespace(**{**defaults, **OPTIONS.get(name, {}), **changes})


def captured(path: Path, name: str, **changes: object) -> Table:
    return read(path, settings_of(options(name, **changes)))


def write(path: Path, name: str, seconds: int = 4, topic: str = "") -> Float64Array:
    """A line a message, with `topic` where it is given; gives the accelerations."""
    sent = [batch(start=1.7e9 + k, seed=k) for k in range(seconds)]
    lines = []
    for payload in (payload for one in sent for payload in WRITERS[name](one)):
        parts = payload.splitlines() if name == "csv" else [payload]
        lines += [part.hex().encode() if name in BINARY else part for part in parts]
    path.write_bytes(b"".join((topic + "\t").encode() * bool(topic) + line + b"\n" for line in lines))
    return np.concatenate([one.xyz for one in sent])


def test_the_options_offer_every_format_and_ready_made_mapping() -> None:
    assert (*BY_NAME, *READY_MADE) == FORMATS
    assert set(WRITERS) == set(FORMATS) - {"mapping"}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("topic", ["", "sensors/belt/accel", "some/other/topic"])
def test_each_format_is_read_from_lines(name: str, topic: str, tmp_path: Path) -> None:
    xyz = write(tmp_path / "walk.log", name, topic=topic)
    table = captured(tmp_path / "walk.log", name)
    np.testing.assert_allclose(table.xyz, xyz, atol=3e-3)
    np.testing.assert_allclose(np.diff(np.array(table.time)), 0.02, atol=1e-3)
    own = {"senml": "d-1", "sensorlogger": "d-1", "movesense": "d-1", "edgeimpulse": "d-1"}.get(name, "walk")
    assert set(table.subject) == {"belt" if topic.startswith("sensors/") else own}
    assert not +table.rejected


def test_a_mapping_of_ones_own(tmp_path: Path) -> None:
    line = json.dumps({"id": "d", "t": 1.7e9, "a": [1, 2, 3]})
    (tmp_path / "x").write_text(f"{line}\n\n{line}\n")
    paths = json.dumps({"x": "$.a[0]", "y": "$.a[1]", "z": "$.a[2]", "t": "$.t", "device": "$.id"})
    table = captured(tmp_path / "x", "mapping", mapping=paths)
    assert table.subject == ["d", "d"]
    np.testing.assert_array_equal(table.xyz, [[1, 2, 3]] * 2)


def test_what_cannot_be_read_is_counted_with_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"t": 1.7e9, "x": 1, "y": 2, "z": 3}\0\r\n{"xyz": 5}\n{\n{\n')
    table = captured(tmp_path / "x", "json")
    assert len(table.xyz) == 1
    assert (table.rejected["fields"], table.rejected["json"]) == (1, 2)
    assert "in line 3: not JSON" in table.reasons()
    (tmp_path / "x").write_text('{"payload": [{"name": "accelerometer", "time": 1, "values": {}}]}')
    with pytest.raises(NoRecordError, match=r"1 × no_gravity \(first in line 1: .*switch on"):
        captured(tmp_path / "x", "sensorlogger")


def test_messages_without_times_and_rate_need_a_rate(tmp_path: Path) -> None:
    (tmp_path / "x").write_text('{"x": [1, 2], "y": [1, 2], "z": [1, 2]}\n' * 2)
    with pytest.raises(NoTimesError, match="rate must be given"):
        captured(tmp_path / "x", "json")
    assert captured(tmp_path / "x", "json", rate=10.0).time == pytest.approx([0, 0.1, 0.2, 0.3])


def test_hard_label_labels_them(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    motion = Wearer(1, 50.0, start=1.7e9, among=("Walking",)).take(600)
    lines = [
        json.dumps({"name": "totalacceleration", "time": round(t * 1e9), "values": dict(zip("xyz", row, strict=True))})
        for t, row in zip(motion.time.tolist(), motion.xyz.tolist(), strict=True)
    ]
    messages = [f'{{"deviceId": "p", "payload": [{",".join(lines[i : i + 50])}]}}\n' for i in range(0, 600, 50)]
    (tmp_path / "phone.txt").write_text("".join(f"sensor-logger\t{message}" for message in messages))
    assert cli.main(["label", str(tmp_path / "phone.txt"), "--format", "sensorlogger"]) == 0
    found = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [one["subject"] for one in found] == ["p"] * 9
    assert found[0]["start"] == pytest.approx(1.7e9)
    assert cli.main(["label", str(tmp_path / "phone.txt"), "--format", "phyphox"]) == 2
    assert b"fields (first in line 1: no buffers of x, y and z" in capfdbinary.readouterr().err
