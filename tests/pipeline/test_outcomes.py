"""Each window is counted once, and the journal keeps only those that the next start should label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hard.monitoring.accounting import Accounting
from hard.pipeline.outcomes import WindowOutcomes
from hard.records import CounterDelta, StateMemory, Window


class FakeJournal:
    """Remembers which windows were marked as resolved."""

    def __init__(self) -> None:
        self.resolved: list[str] = []
        self.memories: list[StateMemory | None] = []

    def mark_resolved(self, window: Window, memory: StateMemory | None = None) -> None:
        self.resolved.append(window.window_id)
        self.memories.append(memory)


def window(end: float) -> Window:
    up = np.array([0, 0, 1], np.float32)
    return Window("d", end - 4, end, np.zeros((80, 3), np.float32), 1.0, up, up, False, 0.0, 0.0, 0.0)


@pytest.fixture
def accounting() -> Accounting:
    """Three windows are closed and in flight."""
    made = Accounting()
    made.changed(CounterDelta(windows_closed=3))
    return made


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal()


@pytest.fixture
def outcomes(accounting: Accounting, journal: Any) -> WindowOutcomes:
    return WindowOutcomes(accounting, journal)


def test_a_label_that_the_broker_took_is_published_and_resolved(
    outcomes: WindowOutcomes, accounting: Accounting, journal: FakeJournal
) -> None:
    memory = StateMemory(None, 0.0, 4.0)
    outcomes.acknowledged(window(4.0), memory, True)
    windows = accounting.counters().windows
    assert (windows.published, windows.in_flight, journal.resolved) == (1, 2, ["d:4000"])
    assert journal.memories == [memory]


def test_a_label_dropped_from_the_outbox_is_given_up(
    outcomes: WindowOutcomes, accounting: Accounting, journal: FakeJournal
) -> None:
    outcomes.acknowledged(window(4.0), StateMemory(None, 0.0, 4.0), False)
    windows = accounting.counters().windows
    assert (windows.outbox_full, windows.in_flight, journal.resolved) == (1, 2, ["d:4000"])
    assert journal.memories == [None]


def test_what_fails_or_is_shed_is_given_up(
    outcomes: WindowOutcomes, accounting: Accounting, journal: FakeJournal
) -> None:
    outcomes.failed(window(4.0))
    outcomes.abandoned("stale", [window(5.0), window(6.0)])
    windows = accounting.counters().windows
    assert (windows.failed, windows.stale, windows.in_flight) == (1, 2, 0)
    assert journal.resolved == ["d:4000", "d:5000", "d:6000"]


def test_when_the_time_to_stop_is_up_a_label_not_taken_is_kept_for_the_next_start(
    outcomes: WindowOutcomes, accounting: Accounting, journal: FakeJournal
) -> None:
    outcomes.abandoned("shutdown", [window(4.0)])
    outcomes.stop()
    outcomes.acknowledged(window(5.0), None, False)
    outcomes.acknowledged(window(6.0), None, True)
    windows = accounting.counters().windows
    assert (windows.shutdown, windows.published, windows.in_flight) == (2, 1, 0)
    assert journal.resolved == ["d:6000"]
