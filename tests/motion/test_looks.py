"""Looks: each kind of problem in a few seconds of messages, and none in a plain stride."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.senders import DEVICE_TIME, RULES, stream, stride

from hard.motion.looks import Found, LookRules, examine, lateness_s, nearest_unit
from hard.outputs.diagnosis import sentence
from hard.records import PROBLEMS, DeviceProblem, Float64Array, Samples
from hard.units import G_MS2


def look(*messages: Samples, rules: LookRules = RULES) -> Found:
    first = [(float(m.time[0]), len(m.xyz)) for m in messages if m.time is not None and len(m.xyz) > 1]
    spacings = [(b[0] - a[0]) / a[1] for a, b in pairwise(first)]
    return examine(messages, spacings, rules)


@pytest.mark.parametrize("per_message", [1, 50, 250])
@pytest.mark.parametrize("timed", [True, False])
def test_a_plain_stride_has_no_problem(per_message: int, *, timed: bool) -> None:
    assert look(*stream(seconds=5, per_message=per_message, timed=timed)) == {}


@pytest.mark.parametrize(
    ("scale", "kind"),
    [
        (1 / G_MS2, "unit"), (G_MS2, "unit"), (1000 / G_MS2, "unit"), (16384 / G_MS2, "raw_counts"),
        (256 / G_MS2, "raw_counts"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("still", [True, False])
def test_gravity_says_the_unit(scale: float, kind: str, *, still: bool) -> None:
    ms2 = G_MS2 if scale == G_MS2 else 1.0  # taken for g, and sent in m/s²
    found = look(*stream(seconds=5, scale=scale, still=still, ms2_per_unit=ms2))
    assert list(found) == [kind] or set(found) == {kind, "clipped"}
    assert found[kind] == pytest.approx(G_MS2 * scale / ms2, rel=0.1)


@pytest.mark.parametrize(
    ("gravity", "unit"), [(1.02, "g"), (9.4, "m/s2"), (1000, "mg"), (9700, "mm/s2"), (1024, ""), (40, "")]
)
def test_the_nearest_unit_is_named_unless_counts_are_nearer(gravity: float, unit: str) -> None:
    assert nearest_unit(gravity) == unit


@pytest.mark.parametrize("still", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1 / G_MS2])
def test_accelerations_without_gravity(scale: float, *, still: bool) -> None:
    assert list(look(*stream(seconds=5, gravity=0.0, still=still, scale=scale))) == ["no_gravity"]


@pytest.mark.parametrize("rate_hz", [5.0, 8.0, 10.0])
@pytest.mark.parametrize("per_message", [1, 10])
@pytest.mark.parametrize("timed", [True, False])
def test_a_rate_below_the_least_is_slow(rate_hz: float, per_message: int, *, timed: bool) -> None:
    found = look(*stream(seconds=6, rate_hz=rate_hz, per_message=per_message, timed=timed))
    assert found == {"slow": pytest.approx(rate_hz, rel=0.05)}
    assert look(*stream(seconds=6, rate_hz=12.5, per_message=per_message, timed=timed)) == {}


@pytest.mark.parametrize(("rate_hz", "stated"), [(104.0, 50.0), (26.0, 52.0)])
@pytest.mark.parametrize("timed", [True, False])
def test_a_stated_rate_that_is_wrong(rate_hz: float, stated: float, *, timed: bool) -> None:
    messages = stream(seconds=6, rate_hz=rate_hz, stated_hz=stated, per_message=round(rate_hz), timed=timed)
    assert look(*messages) == {"rate": pytest.approx(rate_hz, rel=0.02)}


@pytest.mark.parametrize("per_message", [1, 50])
@pytest.mark.parametrize("ahead_s", [0.0, 0.3, 30.0])
def test_two_senders_under_one_name(per_message: int, ahead_s: float) -> None:
    one, other = (stream(seconds=5, per_message=per_message, seed=seed, turned=seed) for seed in (0, 1))
    moved = [
        Samples(
            m.device, m.time + ahead_s if m.time is not None else None, m.xyz, m.received_at + 0.004, 0.0, m.rate_hz
        )
        for m in other
    ]
    both = sorted([*one, *moved], key=lambda message: message.received_at)
    assert look(*both) == {"two_senders": 0.0}


@pytest.mark.parametrize("per_message", [1, 50])
def test_two_senders_without_times(per_message: int) -> None:
    pairs = zip(*(stream(seconds=5, per_message=per_message, timed=False, turned=seed) for seed in (0, 1)), strict=True)
    assert look(*(message for pair in pairs for message in pair)) == {"two_senders": 0.0}


def test_a_message_that_comes_twice_is_no_second_sender() -> None:
    assert "two_senders" not in look(*(message for message in stream(seconds=5) for _ in range(2)))


def test_a_stuck_sensor() -> None:
    same = [Samples("a", m.time, np.full_like(m.xyz, 3.3), m.received_at, 0.0, m.rate_hz) for m in stream(seconds=5)]
    assert look(*same) == {"stuck": 0.0}
    repeated = [Samples("a", m.time, stride(np.arange(50) / 50), m.received_at, 0.0, 50.0) for m in stream(seconds=5)]
    assert look(*repeated) == {"stuck": 0.0}
    axis: Float64Array = np.array([1.0, 1.0, 0.0])
    one_axis = [Samples("a", m.time, m.xyz * axis, m.received_at, 0.0, m.rate_hz) for m in stream(seconds=5)]
    assert look(*one_axis) == {"stuck": 0.0}


def test_clipped_movements() -> None:
    messages = stream(seconds=5)
    found = look(*(replace(message, xyz=np.clip(message.xyz * 2.2, -19.6, 19.6)) for message in messages))
    assert found["clipped"] == pytest.approx(19.6)


def test_missing_messages_are_gaps_and_of_a_shared_subscription_other_members() -> None:
    lossy = [message for second, message in enumerate(stream(seconds=8)) if second in (0, 1, 4, 5, 7)]
    assert look(*lossy) == {"gaps": pytest.approx(3 / 8, abs=0.1)}
    assert list(look(*lossy, rules=LookRules(12.0, shared=True))) == ["shared_subscription"]
    every_second = stream(seconds=10)[::2]
    assert look(*every_second, rules=LookRules(12.0, shared=True)) == {"shared_subscription": pytest.approx(0.5)}


def test_a_pause_is_no_gap() -> None:
    early, late = stream(seconds=3), stream(seconds=3, begin_s=63)
    assert look(*early, *late) == {}


def test_whole_second_times_say_the_rate_by_their_number() -> None:
    messages = stream(seconds=6, per_message=1, rate_hz=25.0)
    whole = [Samples("a", np.floor(m.time), m.xyz, m.received_at, 0.0) for m in messages if m.time is not None]
    assert look(*whole) == {}


def test_a_backlog_without_times_says_nothing_of_the_rate() -> None:
    messages = stream(seconds=300, timed=False)
    assert look(*(Samples("a", None, m.xyz, 1000 + i / 50, 0.0, 50.0) for i, m in enumerate(messages))) == {}


def test_lateness_is_how_far_a_message_is_behind_the_newest() -> None:
    first, second, third = stream(seconds=3)
    assert lateness_s([first, third, second]) == pytest.approx(1.0)
    assert lateness_s([first, second, third]) == 0.0


FINITE = st.floats(-1e300, 1e300) | st.floats(-20, 20) | st.sampled_from([0.0, 9.81, 1e-300, -1e308])
TIMES = st.floats(1e9, 4e9) | st.integers(0, 50).map(lambda second: DEVICE_TIME + second)


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=1, max_size=30), TIMES, st.booleans(),
            st.sampled_from([None, 1e-6, 50.0, 1000.0]), st.floats(0, 100),
        ),
        min_size=1, max_size=12,
    ),
    st.booleans(), st.sampled_from([1.0, 9.80665, 1e-9]),
)  # fmt: skip
def test_whatever_comes_a_look_gives_kinds_and_numbers(messages: list[Any], timed: bool, ms2_per_unit: float) -> None:
    made = []
    for xyz, begin, rising, rate, at in messages:
        time = begin + np.arange(len(xyz)) / (rate or 50.0) * (1 if rising else 0)
        made.append(
            Samples("a", time if timed else None, np.array(xyz), 1000 + at, 0.0, rate, ms2_per_unit=ms2_per_unit)
        )
    for kind, value in look(*made).items():
        assert kind in PROBLEMS
        assert isinstance(value, float)
        told, _ = sentence(DeviceProblem(kind, 0.0, value))
        assert told
