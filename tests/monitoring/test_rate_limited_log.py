"""A line a key at a limited rate, and the count of those left out."""

from __future__ import annotations

import logging

import pytest

from hard.monitoring.rate_limited_log import EVERY_S, RateLimitedLog


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def limited(clock: list[float]) -> RateLimitedLog:
    return RateLimitedLog(logging.getLogger("test"), lambda: clock[0])


def test_a_key_is_logged_once_and_then_with_the_count_of_those_left_out(
    limited: RateLimitedLog, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(4):
        limited.warning("bad", "message %d is bad", n)
    assert caplog.messages == ["message 0 is bad"]
    clock[0] = EVERY_S
    limited.warning("bad", "message %d is bad", 4)
    assert caplog.messages[1:] == ["message 4 is bad (3 more like it since)"]
    clock[0] = 2 * EVERY_S
    limited.warning("bad", "message %d is bad", 5)
    assert caplog.messages[2:] == ["message 5 is bad"]


def test_each_key_has_its_own_limit(limited: RateLimitedLog, caplog: pytest.LogCaptureFixture) -> None:
    for key in ("a", "b", "a"):
        limited.warning(key, "%s", key)
    assert caplog.messages == ["a", "b"]
