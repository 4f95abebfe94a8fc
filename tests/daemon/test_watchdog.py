"""Who has work and makes no progress."""

from __future__ import annotations

import pytest

from hard.daemon.watchdog import Watchdog
from hard.pipeline.workers import Report


def looks(*reports: tuple[int, bool], every_s: float = 1.0, patience_s: float = 10.0) -> tuple[Watchdog, list[str]]:
    """A watchdog after a look at each (steps, has work), and what the last look gave."""
    watchdog, stuck = Watchdog(["label"]), list[str]()
    for n, (steps, has_work) in enumerate(reports):
        stuck = watchdog.look(n * every_s, [Report("label", steps, has_work, patience_s)])
    return watchdog, stuck


def test_work_without_progress_is_a_stall_and_in_the_end_stuck() -> None:
    watchdog, stuck = looks(*[(7, True)] * 10)
    assert (watchdog.stalled_s, stuck) == ({"label": 9.0}, [])
    assert watchdog.told() == ["label makes no progress since 9 s"]
    assert looks(*[(7, True)] * 11)[1] == ["label"]


def test_an_idle_stage_never_stalls() -> None:
    watchdog, stuck = looks(*[(7, False)] * 10_000)
    assert (watchdog.stalled_s, stuck, watchdog.told()) == ({"label": 0.0}, [], [])


def test_slow_progress_is_progress() -> None:
    slow = [(n // 5, True) for n in range(1000)]
    assert all(looks(*slow[:n])[1] == [] for n in range(1, 30))
    assert looks(*slow)[0].told() == []


@pytest.mark.parametrize("ending", [(8, True), (7, False)], ids=["progress", "work gone"])
def test_a_stall_that_ends_is_forgotten(ending: tuple[int, bool]) -> None:
    watchdog, stuck = looks(*[(7, True)] * 10, ending, (ending[0], True))
    assert stuck == []
    assert watchdog.stalled_s["label"] <= 1.0


def test_when_nobody_had_time_no_stage_is_blamed() -> None:
    """A stopped process or a machine that slept: the late look counts as one tick."""
    assert looks((7, True), (7, True), every_s=3600)[1] == []


def test_each_stage_has_its_own_patience() -> None:
    watchdog = Watchdog(["label", "network"])
    for now in range(20):
        stuck = watchdog.look(now, [Report("label", 0, True, 5.0), Report("network", 0, True, 100.0)])
    assert stuck == ["label"]
