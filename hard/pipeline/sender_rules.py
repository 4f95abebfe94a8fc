"""How a sender's payloads are read: the settings of `ingest`, or of the first entry of `[[devices]]` that matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from hard.formats.formats import PayloadFormat, Read
from hard.formats.raw_samples import PayloadError
from hard.formats.topics import Topics, is_device_name, is_payload_name

MAX_CACHED, LONGEST_CACHED = 20_000, 512  # topics or names, and their characters

Axes = tuple[list[int], list[float]]


@dataclass(frozen=True, slots=True)
class SenderRules:
    """What one sender's payloads mean. `mapped` reads payloads by `ingest.mapping` where there is one. `ms2_per_unit`
    holds where a payload states no unit, and always where it is `scaled`; `time_unit` where it states none. `axes` are
    which of the sender's axes x, y and z are, and their signs; `place` is where the device is worn, of units.PLACES or
    None."""

    format: PayloadFormat
    read: Read
    mapped: Read | None
    ms2_per_unit: float
    scaled: bool
    time_unit: str
    units_per_s: float
    clock: Literal["unix", "uptime", "arrival"]
    epoch_s: float
    rate_hz: float | None
    axes: Axes | None
    place: str | None


Entry = tuple[str, SenderRules]  # a pattern of names or topics, and what holds for them


class Senders:
    """The rules of each sender. The first of `entries` that matches holds, whole, else `default`. Not thread-safe."""

    def __init__(self, topics: Sequence[str], default: SenderRules, entries: Sequence[Entry]) -> None:
        self._topic_regex, self._default, self._entries = Topics(topics).regex(), default, entries
        self._by_topic: dict[str, tuple[str | None, SenderRules]] = {}
        self._by_name: dict[str, SenderRules | None] = {}

    def by_topic(self, topic: str) -> tuple[str | None, SenderRules]:
        """The device that `topic` names, or None where the payload names it, and its rules. Raises PayloadError."""
        found = self._by_topic.get(topic)
        if found is None:
            device = self._device(topic)
            found = device, self._match(topic if device is None else device) or self._default
            if len(topic) <= LONGEST_CACHED:
                if len(self._by_topic) >= MAX_CACHED:
                    self._by_topic.clear()
                self._by_topic[topic] = found
        return found

    def by_name(self, name: str | None, topic_rules: SenderRules) -> tuple[str, SenderRules]:
        """The device that a payload names and its rules, by its name or else `topic_rules`. Raises PayloadError."""
        if name is None or not is_payload_name(name):
            named = "names none" if name is None else f"names {name[:40]!r}"
            raise PayloadError("topic", f"the topic names no device, and the payload {named}")
        if name not in self._by_name:
            if len(self._by_name) >= MAX_CACHED:
                self._by_name.clear()
            self._by_name[name] = self._match(name)
        return name, self._by_name[name] or topic_rules

    def _match(self, name: str) -> SenderRules | None:
        return next((rules for pattern, rules in self._entries if fnmatchcase(name, pattern)), None)

    def _device(self, topic: str) -> str | None:
        match = self._topic_regex.match(topic)
        device = match and next((group for group in match.groups() if group is not None), None)
        if match is None or (device is not None and not is_device_name(device)):
            raise PayloadError("topic", f"topic {topic[:80]!r} names no device")
        return device
