"""The lines for hard.toml are TOML that a daemon takes, and a file keeps what it had."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from support.planted import MISTAKES, heard

from hard.commands.doctor import diagnose
from hard.commands.sender_lines import Lines, propose, write
from hard.errors import UsageError
from hard.mqtt.broker_address import parse_address
from hard.settings import Settings, load


def lines_of(name: str, settings: Settings | None = None) -> Lines:
    settings = settings or load(None, MISTAKES[name].overrides)
    return propose(diagnose(heard(MISTAKES[name]), settings), settings)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_lines_are_settings(name: str, tmp_path: Path) -> None:
    text = lines_of(name).text()
    (tmp_path / "hard.toml").write_text(text)
    entries = load(tmp_path / "hard.toml").devices
    assert [entry.model_dump(exclude_none=True, exclude={"match"}) for entry in entries] == [
        entry for entry in [MISTAKES[name].entry] if entry
    ]


def test_what_holds_for_all_devices_stands_in_ingest() -> None:
    assert tomllib.loads(lines_of("ms as s").text()) == {"ingest": {"time_unit": "ms"}}
    topics = ["sensors/{device}/accel", "home/{device}/accel"]
    assert tomllib.loads(lines_of("a topic that nothing reads").text()) == {"ingest": {"topics": topics}}


def test_a_minority_with_another_unit_of_times_gets_the_time_of_arrival() -> None:
    other = MISTAKES["ms as s"]
    own = {f"sensors/{name}/accel": heard(MISTAKES["g sent"])["sensors/d/accel"] for name in "ab"}
    for name in "ab":
        own[f"sensors/{name}/accel"].messages = [
            type(message)(f"sensors/{name}/accel", message.payload, message.received_at, message.received_wall)
            for message in own[f"sensors/{name}/accel"].messages
        ]
    settings = load()
    found = diagnose(heard(other) | own, settings)
    assert propose(found, settings).devices == [
        {"match": "a", "unit": "g"}, {"match": "b", "unit": "g"}, {"match": "d", "clock": "arrival"},
    ]  # fmt: skip


def test_a_new_file_is_whole_and_an_existing_one_gets_entries_only(tmp_path: Path) -> None:
    path, lines = tmp_path / "hard.toml", lines_of("uptime")
    lines.ingest = {"time_unit": "ms"}
    assert write(path, lines, parse_address("ws://anna:secret@broker:9001/ws")) == f"hard: wrote {path}"
    settings = load(path)
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.transport) == ("broker", 9001, "websockets")
    assert (settings.mqtt.username, settings.ingest.time_unit) == ("anna", "ms")
    assert [entry.clock for entry in settings.devices] == ["uptime"]
    assert "secret" not in path.read_text()
    path.write_text('# mine\n[ingest]\nunit = "g"')
    said = write(path, lines, None)
    assert said.endswith('the other lines are yours to set:\n[ingest]\ntime_unit = "ms"\n\n')
    assert path.read_text().startswith("# mine\n")
    assert (load(path).ingest.unit, load(path).devices[0].clock) == ("g", "uptime")
    with pytest.raises(UsageError, match="can't be written"):
        write(tmp_path / "absent" / "hard.toml", lines, None)


def test_an_entry_that_is_there_already_is_printed_whole_and_not_appended(tmp_path: Path) -> None:
    path = tmp_path / "hard.toml"
    path.write_text('[[devices]]\nmatch = "?"\naxes = "y,x,z"\nunit = "m/s2"\n')
    lines = lines_of("raw counts", load(path))
    assert lines.devices == []
    assert lines.changed == [{"match": "?", "axes": "y,x,z", "scale": 0.0005986}]
    before = path.read_text()
    assert "# this entry is there already: change it" in write(path, lines, None)
    assert path.read_text() == before


def test_a_name_with_characters_of_a_pattern_matches_itself() -> None:
    settings = load()
    found = diagnose(heard(MISTAKES["g sent"]), settings)
    found[0][1].match = "belt[7]"
    assert propose(found, settings).devices == [{"match": "belt[[]7]", "unit": "g"}]
