"""What a sender's times show, for messages that arrive as they are sent."""

from __future__ import annotations

import numpy as np
import pytest

from hard.commands.sender_clock import check_times
from hard.commands.sender_facts import Facts
from hard.daemon.sender_settings import make_senders
from hard.formats.raw_samples import RawSamples
from hard.records import Message
from hard.settings import load

START = 1_795_000_000.0


def facts_of(raws: list[RawSamples], arrivals: np.ndarray, *overrides: str) -> Facts:
    facts = Facts("d", "sensors/d/accel", len(raws))
    _, rules = make_senders(load(None, overrides)).by_topic("sensors/d/accel")
    messages = [Message("sensors/d/accel", b"", at, START + at) for at in arrivals.tolist()]
    check_times(facts, list(zip(messages, raws, strict=True)), rules, 20.0)
    return facts


def walk(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(0, 1, (n, 3))


@pytest.mark.parametrize(("unit", "per_s"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_the_unit_of_uptimes_and_of_unix_times_is_found(unit: str, per_s: float) -> None:
    at = np.arange(20.0)
    for begin, clock in ((50.0, "uptime"), (START, "unix")):
        raws = [RawSamples(walk(50), None, (begin + t) * per_s, 50.0) for t in at.tolist()]
        facts = facts_of(raws, at + 1)
        assert (facts.clock, facts.time_unit) == (clock, unit)
        assert facts.rate_hz == 50


def test_single_samples_that_overtake_one_another_are_no_second_sender_s() -> None:
    at = np.arange(300) / 50
    late = at.copy()
    late[1::10], late[0::10] = at[0::10], at[1::10]
    raws = [RawSamples(walk(1) + i, np.array([START + t])) for i, t in enumerate(late.tolist())]
    facts = facts_of(raws, at)
    assert facts.problems == []
    assert facts.rate_hz == pytest.approx(50, rel=0.02)


def test_a_usual_rate_is_taken_where_arrivals_are_near_it() -> None:
    at = np.arange(12) * 1.01
    facts = facts_of([RawSamples(walk(52)) for _ in at], at)
    assert facts.rate_hz == 52
    assert facts.entry == {"rate_hz": 52.0}
