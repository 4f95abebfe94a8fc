"""What one sender was heard to send → how it sends, what is wrong with that under the settings, and settings that fit.

Pure. It may guess, because it only advises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hard.commands.sender_clock import check_times
from hard.commands.sender_facts import Facts
from hard.formats.guess import Guess, guess
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.pipeline.sender_rules import SenderRules
from hard.recordings.gravity import likely_unit
from hard.records import Float64Array, Message
from hard.units import UNITS

SAME_UNIT = 1.25
MIN_SAMPLES = 20
MALFORMED = 0.2  # share of messages


def examine(
    device: str, messages: Sequence[Message], retained: int, rules: SenderRules, *, mapping: object = None,
    default_rate_hz: float | None = None,
) -> Facts:  # fmt: skip
    """The facts of `device`, whose `messages` came under `rules`, with so many `retained` ones before them.
    `default_rate_hz` spaces samples that state no rate."""
    facts = Facts(device, messages[0].topic if messages else "", len(messages))
    if retained:
        facts.told("retained")
    if not messages:
        return facts
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
    check_times(facts, read, rules, default_rate_hz)
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
    if likely is None:
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
