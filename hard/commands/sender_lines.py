"""Facts about senders → the lines for hard.toml, and the file that holds them."""

from __future__ import annotations

import glob
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from hard.commands.sender_facts import Facts
from hard.errors import UsageError
from hard.mqtt.broker_address import BrokerAddress
from hard.settings import DeviceEntry, Settings


class Matched(Protocol):
    """A sender, as far as its lines need it."""

    match: str
    pattern: str | None


@dataclass(slots=True)
class Lines:
    """Settings for `[ingest]`, new entries of `[[devices]]`, and entries that stand in the file and must change."""

    ingest: dict[str, Any] = field(default_factory=dict)
    devices: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ingest or self.devices or self.changed)

    def text(self) -> str:
        """All of them as TOML."""
        return self.other_text() + blocks(self.devices)

    def other_text(self) -> str:
        """What can't be appended to a file."""
        ingest = "[ingest]\n" + _pairs(self.ingest) + "\n" if self.ingest else ""
        changed = "# this entry is there already: change it\n" + blocks(self.changed) if self.changed else ""
        return ingest + changed


def propose(found: Sequence[tuple[Facts, Matched]], settings: Settings) -> Lines:
    """The lines with which the daemon under `settings` would read what was found."""
    lines = Lines()
    topics = dict.fromkeys(sender.pattern for _, sender in found if sender.pattern)
    if topics:
        lines.ingest["topics"] = [*settings.ingest.topics, *topics]
    units = Counter(facts.time_unit for facts, _ in found if facts.time_unit)
    unit: str = settings.ingest.time_unit
    if units and max(units.values()) > units[unit]:
        unit = lines.ingest["time_unit"] = max(units, key=units.__getitem__)
    for facts, sender in found:
        entry = dict(facts.entry)
        if facts.time_unit not in (None, unit):  # there is one unit for all devices
            entry["clock"] = "arrival"
        if not entry:
            continue
        match = glob.escape(sender.match)
        before, own = held(sender.match, settings)
        if "scale" in entry:
            own.pop("unit", None)
        whole = {"match": before.match if before else match, **own, **entry}
        (lines.changed if before else lines.devices).append(whole)
    lines.devices = [entry for i, entry in enumerate(lines.devices) if entry not in lines.devices[:i]]
    return lines


def held(match: str, settings: Settings) -> tuple[DeviceEntry | None, dict[str, Any]]:
    """The entry of `[[devices]]` that holds for `match` now, if there is one, and what it says."""
    entry = next((own for own in settings.devices if fnmatchcase(match, own.match)), None)
    return entry, entry.model_dump(exclude_none=True, exclude={"match"}) if entry else {}


def write(path: Path, lines: Lines, address: BrokerAddress | None) -> str:
    """Writes a new file for the broker at `address`, or without one appends entries to the file at `path`. Gives a
    sentence for people. Raises UsageError."""
    try:
        if address is not None:
            path.write_text(_broker(address) + lines.text())
            return f"hard: wrote {path}"
        with path.open("a") as file:
            file.write("\n" * bool(lines.devices) + blocks(lines.devices))
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error
    left = lines.other_text()
    appended = f"hard: appended {len(lines.devices)} entries of [[devices]] to {path}"
    return f"{appended}; the other lines are yours to set:\n{left}" if left else appended


def blocks(entries: Sequence[dict[str, Any]]) -> str:
    """Entries of `[[devices]]` as TOML."""
    known = ("match", *DeviceEntry.model_fields)
    return "\n".join(
        "[[devices]]\n" + _pairs({key: e[key] for key in dict.fromkeys(known) if key in e}) for e in entries
    )


def _broker(address: BrokerAddress) -> str:
    held: dict[str, Any] = {"host": address.host, "port": address.port}
    if address.transport != "tcp":
        held["transport"] = address.transport
    if address.transport == "websockets":
        held["path"] = address.path
    if address.username:
        held["username"] = address.username
    password = '# password_file = "…"\n' if address.password else ""
    return "[mqtt]\n" + _pairs(held | ({"tls": True} if address.tls else {})) + password + "\n"


def _pairs(held: dict[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in held.items())


def _value(value: Any) -> str:
    """A value as TOML; its texts are those of JSON."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
