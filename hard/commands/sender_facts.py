"""What one sender was heard to send → how it sends, what is wrong with that under the settings, and settings that fit.

Pure. It may guess, because it only advises.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from hard.formats.guess import Guess, guess
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.pipeline.sender_rules import SenderRules
from hard.recordings.gravity import likely_unit
from hard.records import Float64Array, Message
from hard.units import TIME_UNITS, UNITS

EPOCHS_S = {1970: 0.0, 2000: 946_684_800.0}
SAME_CLOCK_S = 86_400.0 * 2  # a clock that is off by less is one that counts from that year
SAME_UNIT, SAME_RATE = 1.25, 1.08
USUAL_HZ = (
    5,
    8,
    10,
    12.5,
    16,
    20,
    25,
    26,
    30,
    31.25,
    32,
    40,
    50,
    52,
    60,
    62.5,
    64,
    75,
    80,
    100,
    104,
    119,
    120,
    128,
    200,
)
NEAR_USUAL, MIN_ELAPSED_S = 0.04, 4.0
MIN_SAMPLES = 20
MALFORMED, MISSING, BACK = (
    0.2,
    0.1,
    0.3,
)  # shares of messages, of time, and of messages that begin before the last ended
BACK_STEPS = 5.0  # samples that overtake one another on the way are no second sender's
CLIPPED_SHARE, CLIPPED_MS2 = 0.02, 14.0


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

    def wrong(self, kind: str, sentence: str, **settings: Any) -> None:
        """Adds a problem; `settings` of the device's entry mend it."""
        self.entry |= settings
        texts = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in settings.items()}
        setting = ", ".join(f"ingest.{name}={text}" for name, text in texts.items())
        self.problems.append(Problem(kind, sentence, setting or None))


def examine(
    device: str, messages: Sequence[Message], retained: int, rules: SenderRules, *, mapping: object = None,
    least_rate_hz: float | None = None, default_rate_hz: float | None = None,
) -> Facts:  # fmt: skip
    """The facts of `device`, whose `messages` came under `rules`, with so many `retained` ones before them.
    `default_rate_hz` spaces samples that state no rate."""
    facts = Facts(device, messages[0].topic if messages else "", len(messages))
    if retained and not messages:
        facts.wrong("retained", "only a message that the broker had kept came: publish samples without the retain flag")
        return facts
    if retained:
        facts.wrong("retained", "it publishes with the retain flag: a restart of HARD would read an old message again")
    found = _format(facts, messages, rules)
    if found is None:
        return facts
    read = [(messages[i], raw) for i, raw in sorted(found.read.items())]
    xyz = np.concatenate([raw.xyz for _, raw in read])
    xyz = xyz[np.isfinite(xyz).all(axis=1)]
    facts.samples = len(xyz)
    if len(xyz) < MIN_SAMPLES:
        facts.wrong("few", f"only {len(xyz)} samples came: listen for longer")
        return facts
    _gravity(facts, xyz, read, rules)
    _Clock(facts, read, rules).examine(default_rate_hz)
    if least_rate_hz and facts.rate_hz and facts.rate_hz < 0.97 * least_rate_hz:
        facts.wrong("slow", f"{facts.rate_hz:.3g} samples a second are too few: the model needs {least_rate_hz:.3g}")
    return facts


def _format(facts: Facts, messages: Sequence[Message], rules: SenderRules) -> Guess | None:
    payloads = [message.payload for message in messages]
    found = guess(payloads, rules.read)
    if found is None:
        sentence = _refusal(rules, payloads) or "its messages can't be read"
        facts.wrong("malformed", f"{sentence}; no format that HARD knows fits: see hard/formats/README.md")
        return None
    facts.format = found.format or rules.format.name
    if found.format:
        settings: dict[str, Any] = {"format": found.format}
        if found.mapping is not None:
            settings["mapping"] = found.mapping
        what = (
            f"are those of {found.mapping or found.format}"
            if found.mapping is None or isinstance(found.mapping, str)
            else "have a shape of their own, which a mapping reads"
        )
        if found.format != rules.format.name or found.mapping is not None:
            facts.wrong("malformed", f"its messages {what}; the setting is {rules.format.name}", **settings)
    if found.no_gravity:
        facts.wrong("no_gravity", "its app takes gravity out: switch on total acceleration, or gravity beside it")
        return None
    refused = len(payloads) - len(found.read)
    if refused > MALFORMED * len(payloads):
        facts.wrong("malformed", f"{refused} of {len(payloads)} messages can't be read")
    return found


def _refusal(rules: SenderRules, payloads: Sequence[bytes]) -> str:
    for payload in payloads:
        try:
            rules.read(payload)
        except PayloadError as error:
            return f"its messages can't be read as {rules.format.name}: {error}"
    return ""


def _gravity(facts: Facts, xyz: Float64Array, read: Sequence[tuple[Message, RawSamples]], rules: SenderRules) -> None:
    stated = next((raw.unit for _, raw in read if raw.unit), None)
    ms2 = UNITS[stated] if stated and not rules.scaled else rules.ms2_per_unit
    likely, mean = likely_unit(xyz), xyz.mean(axis=0)
    axis = int(np.abs(mean).argmax())
    facts.down = f"{'-' if mean[axis] > 0 else '+'}{'xyz'[axis]}"
    spread = xyz.max(axis=0) - xyz.min(axis=0)
    if not spread.any() or (len(xyz) > 2 * MIN_SAMPLES and (spread * ms2).max() > 2 and not spread.all()):
        facts.wrong("stuck", "its values don't change: the sensor or its wire may be broken")
        return
    if likely is None:
        facts.wrong(
            "no_gravity", "its accelerations hold no gravity: send them with gravity, as a device at rest measures it"
        )
        return
    scale = UNITS.get(likely) or float(likely)
    facts.unit = likely if likely in UNITS else "counts"
    facts.gravity_ms2 = float(np.linalg.norm(mean)) * scale
    if not 1 / SAME_UNIT <= scale / ms2 <= SAME_UNIT:
        gravity = float(np.linalg.norm(mean))
        if likely in ("m/s2", "g"):
            facts.wrong("unit", f"gravity measures {gravity:.3g}, so it sends {likely}", unit=likely)
        else:
            kind, what = ("unit", likely) if likely in UNITS else ("raw_counts", "raw counts")
            facts.wrong(kind, f"gravity measures {gravity:.4g}, so it sends {what}", scale=float(f"{scale:.4g}"))
    greatest = float(np.abs(xyz).max())
    if greatest * scale >= CLIPPED_MS2 and (np.abs(xyz) >= 0.9985 * greatest).sum() >= CLIPPED_SHARE * len(xyz):
        facts.wrong(
            "clipped", f"it can't measure more than {greatest * scale:.3g} m/s²: set a greater range in the sensor"
        )


class _Clock:
    """The times of a device's messages, in the order of arrival."""

    def __init__(self, facts: Facts, read: Sequence[tuple[Message, RawSamples]], rules: SenderRules) -> None:
        self._facts, self._read, self._rules = facts, read, rules
        self._arrived = np.array([message.received_at for message, _ in read])
        self._sizes = np.array([len(raw.xyz) for _, raw in read])
        self._elapsed_s = float(self._arrived[-1] - self._arrived[0])

    def examine(self, default_rate_hz: float | None) -> None:
        facts = self._facts
        if len(self._read) > 2:
            steps = np.diff(self._arrived)
            facts.message_s, facts.jitter_s = float(np.median(steps)), float(steps.std())
        firsts = [self._first(raw) for _, raw in self._read]
        if any(first is None for first in firsts):
            facts.clock = "none"
        else:
            self._count(np.array(firsts, dtype=float))
        self._rate(default_rate_hz)

    def _first(self, raw: RawSamples) -> float | None:
        return raw.t0 if raw.time is None else float(np.nanmin(raw.time)) if len(raw.time) else None

    def _count(self, first: Float64Array) -> None:
        """Finds what times count from, and in which unit."""
        facts, rules, raw = self._facts, self._rules, self._read[-1][1]
        wall = np.array([message.received_wall for message, _ in self._read])
        stated = raw.time_unit
        units = {stated: TIME_UNITS[stated]} if stated else TIME_UNITS
        offsets = {
            (year, unit): float(np.median(first / per_s + epoch_s - wall))
            for unit, per_s in units.items() for year, epoch_s in EPOCHS_S.items()
        }  # fmt: skip
        year, unit = min(offsets, key=lambda key: abs(offsets[key]))
        if raw.uptime:
            facts.clock = "uptime"
            self._spacing(first / TIME_UNITS[stated or "s"])
        elif abs(offsets[year, unit]) < SAME_CLOCK_S:
            facts.clock, facts.clock_offset_s = "unix", offsets[year, unit]
            if rules.clock == "uptime":
                facts.wrong("time_unit", "its times are Unix times, not uptimes", clock="unix")
            if EPOCHS_S[year] != rules.epoch_s and not stated:
                facts.wrong("time_unit", f"its times count from {year}", epoch=year)
            self._unit(unit, stated)
            self._spacing(first / units[unit])
        else:
            self._uptime(first, units)

    def _uptime(self, first: Float64Array, units: dict[str, float]) -> None:
        facts = self._facts
        advance = (
            float(np.median(np.diff(first)) / max(1e-9, float(np.median(np.diff(self._arrived)))))
            if len(first) > 2
            else 0.0
        )
        unit = next((name for name, per_s in units.items() if 0.8 < advance / per_s < 1.25), None)
        if unit is None:
            facts.clock = "none"
            if self._rules.clock != "arrival":
                facts.wrong("time_unit", "its times are neither Unix times nor uptimes", clock="arrival")
            return
        facts.clock = "uptime"
        if self._rules.clock == "unix":
            facts.wrong("time_unit", f"its times count from its start, in {unit}", clock="uptime")
        self._unit(unit, self._read[-1][1].time_unit)
        self._spacing(first / units[unit])

    def _unit(self, unit: str, stated: str | None) -> None:
        if stated or self._rules.clock == "arrival":
            return
        self._facts.time_unit = unit
        if unit != self._rules.time_unit:
            self._facts.problems.append(Problem("time_unit", f"its times are in {unit}", f"ingest.time_unit={unit}"))

    def _spacing(self, first_s: Float64Array) -> None:
        """The rate by the device's own times, gaps, and whether two devices send under one name."""
        facts, sizes = self._facts, self._sizes
        steps = np.diff(first_s) / sizes[:-1]
        if (steps > 0).sum() < 3:
            return
        step = float(np.median(steps[steps > 0]))
        even = float(np.percentile(steps, 80) - np.percentile(steps, 20)) < 0.15 * step
        within, stated = self._within_s(), self._read[-1][1].rate_hz
        inner = within or (step if even or not stated else 1 / stated)
        facts.rate_hz = 1 / inner
        if facts.clock_offset_s is not None:
            facts.clock_offset_s += float(np.median(sizes) - 1) * inner
        begins_before = (
            first_s[:-1] + sizes[:-1] * inner - first_s[1:] > (0.5 if sizes.max() > 1 else BACK_STEPS) * inner
        )
        others = [not np.array_equal(a.xyz, b.xyz) for (_, a), (_, b) in pairwise(self._read)]
        if not even and float((begins_before & np.array(others)).mean()) >= BACK:
            facts.wrong("two_senders", "two devices send under this name: give each its own")
            return
        lost = np.diff(first_s) - sizes[:-1] / facts.rate_hz
        gaps = lost[lost > max(3 / facts.rate_hz, 0.15)]
        facts.missing = float(gaps.sum() / max(1e-9, first_s[-1] - first_s[0]))
        if facts.missing >= MISSING:
            facts.wrong("gaps", f"{facts.missing:.0%} of its time is missing: it loses samples or messages on the way")

    def _within_s(self) -> float | None:
        """The spacing of samples that have times of their own, in s; None where the rate spaces them."""
        raw, unit = self._read[-1][1], self._facts.time_unit or self._rules.time_unit
        spans = [
            (float(raw.time[-1]) - float(raw.time[0])) / (len(raw.time) - 1)
            for _, raw in self._read if raw.time is not None and len(raw.time) > 1
        ]  # fmt: skip
        return float(np.median(spans)) / TIME_UNITS[raw.time_unit or unit] if spans and np.median(spans) > 0 else None

    def _rate(self, default_rate_hz: float | None) -> None:
        """The rate by arrivals where the device has no times; whether the stated one is right."""
        facts, raw = self._facts, self._read[-1][1]
        stated = self._rules.rate_hz or raw.rate_hz
        if facts.rate_hz is None and len(self._read) > 2 and self._elapsed_s >= MIN_ELAPSED_S:
            facts.rate_hz = float(self._sizes[1:].sum()) / self._elapsed_s
            near = min(USUAL_HZ, key=lambda rate: abs(rate / facts.rate_hz - 1))  # type: ignore[operator]
            if abs(near / facts.rate_hz - 1) < NEAR_USUAL:
                facts.rate_hz = float(near)
        if facts.rate_hz is None or (
            raw.time is not None and self._rules.clock != "arrival" and "clock" not in facts.entry
        ):
            return
        rate_hz = float(f"{facts.rate_hz:.4g}")
        if stated and not 1 / SAME_RATE < stated / rate_hz < SAME_RATE:
            facts.wrong("rate", f"it sends {rate_hz:g} samples a second, and states {stated:g}", rate_hz=rate_hz)
        elif not stated and default_rate_hz and not 1 / SAME_RATE < default_rate_hz / rate_hz < SAME_RATE:
            sentence = f"it states no rate, and sends {rate_hz:g} samples a second, not {default_rate_hz:g}"
            facts.wrong("rate", sentence, rate_hz=rate_hz)
