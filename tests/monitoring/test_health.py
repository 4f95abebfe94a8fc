"""Counters and gauges become a health record, problems in words, and a status line."""

from __future__ import annotations

import os
from dataclasses import replace

import msgspec
import pytest
from support.exposition import GAUGES

from hard.monitoring import health
from hard.monitoring.accounting import Accounting, Usefulness
from hard.monitoring.health import Health, JournalState, Latencies, Quantiles, RateMeter, Rates
from hard.records import CounterDelta

WELL = replace(GAUGES, subscribed=True, stalled_s={"label": 0.0})
RATES = Rates(2.0, 40.0, 1.5)


def record(accounting: Accounting, *problems: str) -> Health:
    return health.record(
        accounting.counters(), WELL, version="1", model="m", instance="i", at=1000.12345, every_s=60.0, rates=RATES,
        latency_s=Quantiles(0.1, 0.2), journal=JournalState("journal", True, ""), problems=problems,
    )  # fmt: skip


def test_a_record_holds_what_it_is_given_and_balances() -> None:
    accounting = Accounting()
    accounting.received()
    made = record(accounting)
    assert (made.version, made.model, made.instance, made.at, made.every_s) == ("1", "m", "i", 1000.123, 60.0)
    assert (made.uptime_s, made.devices.known, made.devices.active, made.subscribed) == (5.5, 3, 2, True)
    assert (made.queues.messages, made.queues.windows, made.queues.outbox) == (1, 1, 0)
    assert (made.rates, made.latency_s.p99, made.journal.writing) == (RATES, 0.2, True)
    assert (made.balanced, made.problems, made.accounting.messages.received) == (True, [], 1)
    assert 1e6 < made.rss_bytes < 1e12 or not os.path.exists("/proc/self/statm")  # noqa: PTH110
    assert msgspec.json.decode(msgspec.json.encode(made), type=Health) == made


def test_a_discrepancy_of_the_counters_is_a_problem_too() -> None:
    accounting = Accounting()
    accounting.received()
    accounting.decoded(CounterDelta(decoded=3, accepted=2))
    made = record(accounting, "something else")
    assert not made.balanced
    assert made.problems == ["something else", "samples decoded: 3 in, 2 accounted for"]


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, []),
        ({"stalled_s": {"label": 4.9}}, []),
        ({"connected": False, "subscribed": False}, ["no connection to the broker at host:1883"]),
        ({"subscribed": False}, ["not subscribed at the broker at host:1883"]),
        (
            {"stalled_s": {"label": 9.4, "network": 0.0}, "connected": False},
            ["label has made no progress for 9 s", "no connection to the broker at host:1883"],
        ),
    ],
)
def test_problems_are_sentences_and_stalls_come_first(changes: dict[str, object], problems: list[str]) -> None:
    gauges = replace(WELL, **changes)
    assert health.find_problems(gauges, broker="host:1883", evicted="", journal="", useless="") == problems
    more = health.find_problems(gauges, broker="host:1883", evicted="evicted", journal="not written", useless="useless")
    assert more == [*problems, "evicted", "not written", "useless"]


def test_the_status_line_has_the_problems_or_that_it_is_subscribed() -> None:
    numbers = "2.0 messages/s, 1.5 labels/s, 2 of 3 devices active"
    assert health.status_line([], RATES, WELL) == f"subscribed; {numbers}"
    assert health.status_line(["a", "b"], RATES, WELL) == f"a; b; {numbers}"


def test_rates_are_those_since_the_call_before() -> None:
    accounting, meter = Accounting(), RateMeter(100.0)
    for _ in range(20):
        accounting.received()
        accounting.decoded(CounterDelta(decoded=2, accepted=2, windows_closed=1))
    accounting.published(5)
    assert meter.rates(accounting.counters(), 110.0) == Rates(2.0, 4.0, 0.5)
    accounting.received()
    assert meter.rates(accounting.counters(), 112.0) == Rates(0.5, 0.0, 0.0)


def test_quantiles_are_of_the_last_latencies() -> None:
    latencies = Latencies()
    assert latencies.quantiles() == Quantiles(None, None)
    for _ in range(10):
        latencies.observe(99.0)
    for n in range(health.LATENCIES_KEPT):
        latencies.observe(n / health.LATENCIES_KEPT)
    found = latencies.quantiles()
    assert found.p50 == pytest.approx(0.5, abs=1e-3)
    assert found.p99 == pytest.approx(0.99, abs=1e-3)


def test_more_than_half_of_the_messages_or_windows_without_use_are_a_problem_as_long_as_they_last() -> None:
    meter, why = health.UselessMeter(), "2 devices: times in ms (ingest.time_unit=ms)"
    assert meter.problem(Usefulness(0, 0, 0, 0), 100.0, 60.0, "") == ""
    assert meter.problem(Usefulness(1, 1, 0, 0), 101.0, 60.0, why) == f"1 of the last 1 messages were of no use; {why}"
    assert meter.problem(Usefulness(40, 20, 9, 4), 130.0, 60.0, why) == "", "half is not more than half"
    assert meter.problem(Usefulness(41, 20, 12, 7), 140.0, 60.0, "") == "7 of the last 12 windows were of no use"
    assert meter.problem(Usefulness(80, 20, 60, 7), 195.0, 60.0, "") == ""
    assert meter.problem(Usefulness(81, 21, 60, 7), 230.0, 1.0, "").startswith("1 of the last 1"), "the last 10 s"
