"""The difference between an overload and a burst."""

from __future__ import annotations

import pytest

from hard.pipeline.overload_detector import FRESH_S, RECOVERY_S, OverloadDetector


@pytest.fixture
def detector() -> OverloadDetector:
    """Empty at 0; windows are taken at 25, so that nothing stands still before 55."""
    detector = OverloadDetector(max_age_s=30.0, now=0.0)
    assert detector.empty(0.0)
    detector.taken(25.0)
    return detector


def test_a_queue_that_was_not_empty_for_the_age_limit_is_overloaded(detector: OverloadDetector) -> None:
    assert [detector.is_overloaded(now) for now in (0.0, 30.0, 30.1)] == [False, False, True]
    assert [detector.max_wait_s(now) for now in (30.0, 30.1)] == [30.0, FRESH_S]
    assert detector.empty(31.0)
    assert not detector.is_overloaded(31.1)


def test_an_age_limit_below_what_is_fresh_holds_under_overload_too() -> None:
    detector = OverloadDetector(max_age_s=0.2, now=0.0)
    detector.taken(1.0)
    assert detector.is_overloaded(1.1)
    assert detector.max_wait_s(1.1) == 0.2


def test_an_empty_queue_ends_an_overload_only_when_nothing_was_shed_for_a_while(detector: OverloadDetector) -> None:
    detector.shed(31.0, waited_s=1.0, stale=True)
    assert not detector.empty(31.0 + RECOVERY_S)
    assert detector.is_overloaded(31.0 + RECOVERY_S)
    assert detector.empty(31.1 + RECOVERY_S)
    assert not detector.is_overloaded(31.2 + RECOVERY_S)


def test_an_overload_soon_after_another_is_found_sooner(detector: OverloadDetector) -> None:
    detector.shed(31.0, waited_s=1.0, stale=True)
    assert detector.empty(38.0), "7 s later"
    detector.taken(38.0)
    assert [detector.is_overloaded(now) for now in (45.0, 45.1)] == [False, True]


@pytest.mark.parametrize(
    ("waited_s", "stale", "prolongs"),
    [(0.0, False, False), (FRESH_S, False, False), (FRESH_S + 0.1, False, True), (0.0, True, True)],
)
def test_fresh_windows_without_room_do_not_prolong_an_overload(
    detector: OverloadDetector, waited_s: float, stale: bool, prolongs: bool
) -> None:
    detector.shed(31.0, waited_s, stale=stale)
    assert detector.empty(32.0) is not prolongs


def test_what_is_shed_without_an_overload_counts(detector: OverloadDetector) -> None:
    detector.shed(10.0, waited_s=0.0, stale=False)
    assert not detector.empty(11.0)


def test_after_a_standstill_what_waits_is_a_backlog() -> None:
    detector = OverloadDetector(max_age_s=30.0, now=0.0)
    detector.empty(0.0)
    assert not detector.is_overloaded(60.0), "nothing was taken for 60 s"
    detector.resume(60.0)
    detector.taken(70.0)
    assert [detector.is_overloaded(now) for now in (90.0, 90.1)] == [False, True]


def test_without_a_standstill_taking_changes_nothing(detector: OverloadDetector) -> None:
    detector.resume(30.0)
    detector.taken(30.0)
    assert detector.is_overloaded(30.1)


def test_another_age_limit_holds_from_now_on(detector: OverloadDetector) -> None:
    detector.change(5.0)
    assert detector.max_wait_s(26.0) == 5.0
    assert detector.empty(26.0)
    detector.taken(31.0)
    assert [detector.is_overloaded(now) for now in (31.0, 31.1)] == [False, True]
