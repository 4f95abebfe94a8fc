"""The times of one sender's messages: what they count from, their unit, the rate, and how much is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hard.commands.sender_facts import Facts, Problem
from hard.formats.raw_samples import RawSamples
from hard.pipeline.sender_rules import SenderRules
from hard.records import Float64Array, Message
from hard.units import TIME_UNITS

Read = Sequence[tuple[Message, RawSamples]]
EPOCHS_S = {1970: 0.0, 2000: 946_684_800.0}
SAME_CLOCK_S = 2 * 86_400.0  # a clock that is off by less is one that counts from that year
SAME_RATE, SAME_ADVANCE = 1.08, 1.25
USUAL_HZ = (
    5, 8, 10, 12.5, 16, 20, 25, 26, 30, 31.25, 32, 40, 50, 52, 60, 62.5, 64, 75, 80, 100, 104, 119, 120, 128, 200,
)  # fmt: skip
NEAR_USUAL, MIN_ELAPSED_S = 0.04, 4.0
EVEN = 0.15  # spread of the spacing of messages
GAP_STEPS, GAP_S, PAUSE_S = 3.0, 0.15, 10.0


def check_times(facts: Facts, read: Read, rules: SenderRules, default_rate_hz: float | None) -> None:
    """Fills in what the times of the messages show, in the order of arrival. `default_rate_hz` spaces samples that
    state no rate."""
    _Clock(facts, read, rules).examine(default_rate_hz)


class _Clock:
    """The times of a device's messages, in the order of arrival."""

    def __init__(self, facts: Facts, read: Read, rules: SenderRules) -> None:
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
        unit = next((name for name, per_s in units.items() if 1 / SAME_ADVANCE < advance / per_s < SAME_ADVANCE), None)
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
        """The rate by the device's own times, and what is missing."""
        facts, sizes = self._facts, self._sizes
        steps = np.diff(first_s) / sizes[:-1]
        if (steps > 0).sum() < 3:
            return
        step = float(np.median(steps[steps > 0]))
        even = float(np.percentile(steps, 80) - np.percentile(steps, 20)) < EVEN * step
        within, stated = self._within_s(), self._read[-1][1].rate_hz
        inner = within or (step if even or not stated else 1 / stated)
        facts.rate_hz = 1 / inner
        if facts.clock_offset_s is not None:
            facts.clock_offset_s += float(np.median(sizes) - 1) * inner
        facts.missing = self._missing(first_s, inner)

    def _missing(self, first_s: Float64Array, inner_s: float) -> float:
        """The share of time that lies in gaps between samples, of which neighbours are `inner_s` apart; pauses are
        none."""
        per_s = TIME_UNITS[self._read[-1][1].time_unit or self._facts.time_unit or self._rules.time_unit]
        times = [
            first
            + (np.arange(len(raw.xyz)) * inner_s if raw.time is None else (raw.time - np.nanmin(raw.time)) / per_s)
            for first, (_, raw) in zip(first_s, self._read, strict=True)
        ]
        steps = np.diff(np.sort(np.concatenate(times)))
        steps = steps[(steps > 0) & (steps <= PAUSE_S)]
        gaps = steps[steps > max(GAP_STEPS * inner_s, GAP_S)]
        return float((gaps - inner_s).sum() / max(1e-9, steps.sum()))

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
