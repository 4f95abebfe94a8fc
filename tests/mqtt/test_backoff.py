"""Delays between attempts, and another client with the same id."""

from __future__ import annotations

from statistics import mean

import pytest

from hard.mqtt.backoff import LEAST_S, MAX_BRIEF, STABLE_S, Backoff


def test_delays_are_random_below_a_bound_that_doubles() -> None:
    runs = []
    for _ in range(500):
        backoff = Backoff(30.0)
        runs.append([backoff.failed() for _ in range(10)])
    for i, delays in enumerate(zip(*runs, strict=True)):
        bound = min(30.0, 2.0**i)
        assert LEAST_S <= min(delays) < 0.3 * bound + LEAST_S
        assert 0.7 * bound < max(delays) <= bound
        assert mean(delays) == pytest.approx(bound / 2, rel=0.2)


def test_a_good_connection_ends_the_count_of_failures() -> None:
    backoff = Backoff(30.0)
    for _ in range(10):
        backoff.failed()
    backoff.connected(100.0)
    assert backoff.lost(100.0 + STABLE_S) <= 1.0
    assert not backoff.evicted


def test_brief_connections_in_a_row_make_the_delays_long() -> None:
    backoff = Backoff(30.0)
    for i in range(MAX_BRIEF):
        assert not backoff.evicted
        backoff.connected(100.0 * i)
        delay = backoff.lost(100.0 * i + 1)
    assert backoff.evicted
    assert 15 <= delay <= 30
    backoff.connected(900.0)
    backoff.stable(901.0)
    assert backoff.evicted
    backoff.stable(900.0 + STABLE_S)
    assert not backoff.evicted


def test_a_takeover_that_the_broker_reports_makes_the_delay_long_at_once() -> None:
    backoff = Backoff(30.0)
    backoff.connected(0.0)
    assert backoff.lost(100.0, taken_over=True) >= 15
    assert backoff.evicted
