"""Incoming topics: patterns with `{device}` → MQTT topic filters and a regular expression that finds the device."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_DEVICE_CHARS = 128


def is_device_name(text: str) -> bool:
    """Whether `text` can name a device: one topic level, not one of HARD's own."""
    return 0 < len(text) <= MAX_DEVICE_CHARS and text[0] != "@" and not set(text) & set("+#/\0")


def is_payload_name(text: str) -> bool:
    """Whether `text`, of a payload, can name a device: a device name without white space, fit to be part of a topic."""
    return is_device_name(text) and text.isprintable() and not any(map(str.isspace, text))


@dataclass(frozen=True, slots=True)
class Topics:
    """Incoming topic patterns, with `{device}` as one level where the topic names the device."""

    patterns: Sequence[str]

    def filters(self) -> list[str]:
        """MQTT topic filters to subscribe to."""
        return [pattern.replace("{device}", "+") for pattern in self.patterns]

    def regex(self) -> re.Pattern[str]:
        """Matches a topic; the group that isn't None is the device, and where all are None the payload names it. A
        `$share/group/` is not part of a topic."""
        return re.compile("|".join(_regex(pattern) for pattern in self.patterns))


def _regex(pattern: str) -> str:
    levels = pattern.split("/")
    if levels[0] == "$share":
        levels = levels[2:]
    parts = {"{device}": "([^/]+)", "+": "[^/]*"}
    regex = "/".join(parts.get(level, re.escape(level)) for level in levels if level != "#")
    return f"{regex}(?:/.*)?$" if levels[-1] == "#" else f"{regex}$"
