"""A stage is stuck when it has work and makes no progress; a dead thread or a stuck stage ends the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from hard.daemon.watchdog import StallDetector, Watchdog
from hard.pipeline.workers import Report


def looks(
    *reports: tuple[int, bool], every_s: float = 1.0, patience_s: float = 10.0
) -> tuple[StallDetector, list[str]]:
    """A detector after a look at each (steps, has work), and what the last look gave."""
    detector, stuck = StallDetector(["label"]), list[str]()
    for n, (steps, has_work) in enumerate(reports):
        stuck = detector.look(n * every_s, [Report("label", steps, has_work, patience_s)])
    return detector, stuck


def test_work_without_progress_is_a_stall_and_in_the_end_stuck() -> None:
    detector, stuck = looks(*[(7, True)] * 10)
    assert (detector.stalled_s, stuck) == ({"label": 9.0}, [])
    assert looks(*[(7, True)] * 11)[1] == ["label"]


def test_an_idle_stage_never_stalls() -> None:
    detector, stuck = looks(*[(7, False)] * 10_000)
    assert (detector.stalled_s, stuck) == ({"label": 0.0}, [])


def test_slow_progress_is_progress() -> None:
    slow = [(n // 5, True) for n in range(1000)]
    assert all(looks(*slow[:n])[1] == [] for n in range(1, 30))
    assert looks(*slow)[0].stalled_s["label"] < 5.0


@pytest.mark.parametrize("ending", [(8, True), (7, False)], ids=["progress", "no work"])
def test_a_stall_that_ends_is_forgotten(ending: tuple[int, bool]) -> None:
    detector, stuck = looks(*[(7, True)] * 10, ending, (ending[0], True))
    assert stuck == []
    assert detector.stalled_s["label"] <= 1.0


def test_a_pause_of_the_whole_process_makes_no_stage_stuck() -> None:
    """A stopped process, or a machine that slept: the late look counts as one tick."""
    assert looks((7, True), (7, True), every_s=3600)[1] == []


def test_each_stage_has_its_own_patience() -> None:
    detector = StallDetector(["label", "network"])
    for now in range(20):
        stuck = detector.look(now, [Report("label", 0, True, 5.0), Report("network", 0, True, 100.0)])
    assert stuck == ["label"]


@dataclass
class FakeWorker:
    name: str
    alive: bool = True
    error: Exception | None = None
    has_work: bool = False

    def is_alive(self) -> bool:
        return self.alive

    def report(self, patience_s: float) -> Report:
        return Report(self.name, 0, self.has_work, patience_s)


@dataclass
class FakeSession:
    alive: bool = True
    failed: Exception | None = None
    connected: bool = True
    turns: int = 0


@dataclass
class Process:
    """A watchdog on fakes: 10 s of patience, 100 s without a connection."""

    label: FakeWorker = field(default_factory=lambda: FakeWorker("label"))
    session: FakeSession = field(default_factory=FakeSession)

    def __post_init__(self) -> None:
        workers: Any = (FakeWorker("assemble"), self.label)
        session: Any = self.session
        self.watchdog = Watchdog(workers, session, patience_s=10.0, connect_patience_s=100.0)
        self.now = 0.0

    def check(self, seconds: int, *, network_turns: bool) -> str | None:
        """A check each second; gives the last answer."""
        failure = None
        for _ in range(seconds):
            self.now += 1.0
            self.session.turns += network_turns
            failure = self.watchdog.check(self.now)
        return failure


def test_an_idle_process_whose_network_thread_turns_is_well() -> None:
    process = Process()
    assert process.check(100, network_turns=True) is None
    assert process.watchdog.stalled_s == {"assemble": 0.0, "label": 0.0, "network": 0.0}


def test_a_worker_that_is_stuck_ends_the_process() -> None:
    process = Process(FakeWorker("label", has_work=True))
    assert process.check(10, network_turns=True) is None
    assert process.watchdog.stalled_s["label"] == 9.0
    assert process.check(1, network_turns=True) == "the label thread is stuck: it has work and makes no progress"


def test_a_network_thread_that_stands_still_has_more_patience_without_a_connection() -> None:
    stuck = "the network thread is stuck: it has work and makes no progress"
    assert Process().check(11, network_turns=False) == stuck
    alone = Process(session=FakeSession(connected=False))
    assert alone.check(100, network_turns=False) is None
    assert alone.check(1, network_turns=False) == stuck


@pytest.mark.parametrize(
    ("process", "failure"),
    [
        (Process(FakeWorker("label", False, ValueError("no"))), "the label thread is dead: no"),
        (Process(session=FakeSession(alive=False)), "the network thread is dead"),
        (Process(session=FakeSession(failed=ValueError("no"))), "the network thread failed: no"),
    ],
    ids=["worker", "network", "callback"],
)
def test_a_dead_thread_ends_the_process_with_its_reason(process: Process, failure: str) -> None:
    assert process.check(1, network_turns=True) == failure
