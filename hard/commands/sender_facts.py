"""How one sender sends, as far as it was heard, and what is wrong with that."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hard.outputs.diagnosis import sentence
from hard.records import DeviceProblem


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: its kind, a sentence, and the setting that mends it as for `--set`, or None."""

    kind: str
    sentence: str
    setting: str | None = None


@dataclass(slots=True)
class Facts:
    """How a device sends; None where it isn't known. `time_unit` is that of times whose unit the format doesn't say.
    `entry` are settings for its entry of `[[devices]]`."""

    device: str
    topic: str
    messages: int
    format: str | None = None
    samples: int = 0
    rate_hz: float | None = None
    message_s: float | None = None
    jitter_s: float | None = None
    unit: str | None = None
    gravity_ms2: float | None = None
    down: str | None = None  # the axis along which gravity lies
    clock: str | None = None
    clock_offset_s: float | None = None
    time_unit: str | None = None
    missing: float = 0.0
    problems: list[Problem] = field(default_factory=list)
    entry: dict[str, Any] = field(default_factory=dict)

    def told(self, kind: str, value: float = 0.0) -> None:
        """Adds a problem that no setting mends, in the daemon's own words; `value` is as in `DeviceProblem`."""
        self.problems.append(Problem(kind, sentence(DeviceProblem(kind, 0.0, value))[0]))

    def wrong(self, kind: str, problem: str, **settings: Any) -> None:
        """Adds a problem; `settings` of the device's entry mend it."""
        self.entry |= settings
        texts = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in settings.items()}
        setting = ", ".join(f"ingest.{name}={text}" for name, text in texts.items())
        self.problems.append(Problem(kind, problem, setting or None))
