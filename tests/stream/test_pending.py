"""Pending windows: order, fairness, bounds, and what is shed."""

from __future__ import annotations

import time
from collections import Counter
from threading import Thread

import numpy as np
import pytest

from hard.records import Window
from hard.stream import pending as room
from hard.stream.pending import Pending


def window(device: str, end: int) -> Window:
    up = np.array([0, 0, 1], np.float32)
    return Window(device, end - 4.0, float(end), np.zeros((80, 3), np.float32), 1.0, up, up, False, 0.0, 0.0, 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(room, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes while a test puts, so waiting for room would only take time."""
    monkeypatch.setattr(room, "PATIENCE_S", 0.01)


@pytest.fixture
def shed() -> Counter[str]:
    return Counter()


def make(shed: Counter[str], **bounds: float) -> Pending:
    return Pending(lambda reason, windows: shed.update({reason: len(windows)}), **bounds)  # type: ignore[arg-type]


def ends(batch: list[Window], device: str) -> list[float]:
    return [w.end for w in batch if w.device == device]


def test_a_device_is_first_in_first_out(shed: Counter[str]) -> None:
    pending = make(shed)
    pending.put([window("a", i) for i in range(5)])
    assert ends(pending.take(3), "a") == [0, 1, 2]
    assert ends(pending.take(9), "a") == [3, 4]
    assert not shed


def test_devices_take_turns_across_batches(shed: Counter[str]) -> None:
    pending = make(shed)
    pending.put([window("a", i) for i in range(50)])
    pending.put([window("b", 0)])
    assert {w.device for w in pending.take(2)} == {"a", "b"}
    pending.put([window("c", 0)])
    assert [w.device for w in pending.take(3)] == ["a", "c", "a"]


def test_too_many_of_one_device_keep_the_newest_and_degrade(shed: Counter[str]) -> None:
    pending = make(shed, max_per_device=3)
    pending.put([window("a", i) for i in range(4)])
    pending.put([window("b", 0)])
    batch = pending.take(9)
    assert ends(batch, "a") == [3]
    assert shed == {"superseded": 3}
    assert {w.device: w.degraded for w in batch} == {"a": True, "b": False}


def test_a_burst_that_is_caught_up_in_a_moment_loses_nothing(
    shed: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PATIENCE_S", 10)
    pending = make(shed, max_per_device=4)
    producer = Thread(target=lambda: (pending.put([window("a", i) for i in range(500)]), pending.close()))
    producer.start()
    taken: list[Window] = []
    while batch := pending.take(3):
        taken += batch
    producer.join()
    assert ends(taken, "a") == list(range(500))
    assert not shed


def test_a_stale_line_keeps_the_newest(shed: Counter[str], clock: list[float]) -> None:
    pending = make(shed, max_age_s=30)
    pending.put([window("a", 0), window("a", 1)])
    clock[0] = 31.0
    pending.put([window("a", 2)])
    batch = pending.take(9)
    assert ends(batch, "a") == [2]
    assert batch[0].degraded
    assert shed == {"stale": 2}


def test_a_backlog_within_the_age_limit_loses_nothing(shed: Counter[str], clock: list[float]) -> None:
    pending = make(shed, max_age_s=30)
    pending.put([window("a", i) for i in range(60)])
    clock[0] = 29.0
    assert ends(pending.take(99), "a") == list(range(60))
    assert not shed


def test_a_degraded_device_recovers_when_a_window_gets_through_quickly(shed: Counter[str], clock: list[float]) -> None:
    pending = make(shed, max_per_device=1)
    pending.put([window("a", 0), window("a", 1)])
    clock[0] = 5.0
    pending.put([window("a", 2)])  # still degraded: it takes the place of the one that waits
    assert [w.degraded for w in pending.take(9)] == [True]
    pending.put([window("a", 3)])
    clock[0] = 5.1
    pending.take(9)
    pending.put([window("a", 4)])
    assert [w.degraded for w in pending.take(9)] == [False]


def test_a_forgotten_device_is_well_when_it_returns(shed: Counter[str]) -> None:
    pending = make(shed, max_per_device=1)
    pending.put([window("a", 0), window("a", 1)])
    pending.forget("a")
    assert [w.degraded for w in pending.take(9)] == [False]


def test_the_whole_store_is_bounded(shed: Counter[str]) -> None:
    pending = make(shed, max_windows=10, max_per_device=100)
    for device in "abc":
        pending.put([window(device, i) for i in range(8)])
    assert len(pending) <= 10
    taken = len(pending.take(99))
    assert taken + shed["superseded"] == 24


def test_take_waits_and_close_wakes(shed: Counter[str]) -> None:
    pending, taken = make(shed), []
    thread = Thread(target=lambda: taken.append(pending.take(5)))
    thread.start()
    pending.put([window("a", 1)])
    thread.join(5)
    assert len(taken[0]) == 1
    thread = Thread(target=lambda: taken.append(pending.take(5)))
    thread.start()
    pending.close()
    thread.join(5)
    assert taken[1] == []


def test_closing_still_gives_what_waits(shed: Counter[str]) -> None:
    pending = make(shed)
    pending.put([window("a", 1)])
    pending.close()
    assert len(pending.take(5)) == 1
    assert pending.take(5) == []


def test_a_device_that_was_degraded_is_on_probation(shed: Counter[str], clock: list[float]) -> None:
    """Well again too early, it would collect windows until they are too old, again and again."""
    pending = make(shed)
    pending.put([window("a", 0), window("a", 1)])
    clock[0] = 31.0
    assert [w.degraded for w in pending.take(9)] == [True]  # waited too long itself
    pending.put([window("a", 2)])
    assert [w.degraded for w in pending.take(9)] == [True]  # gets through at once: on probation
    pending.put([window("a", 3), window("a", 4)])
    clock[0] += room.PROBATION_WAIT_S + 0.1
    assert ends(pending.take(9), "a") == [4]
    pending.put([window("a", 5)])
    pending.take(9)
    clock[0] += room.PROBATION_S + 0.1
    pending.put([window("a", 6), window("a", 7)])
    clock[0] += 10.0
    assert ends(pending.take(1) + pending.take(1), "a") == [6, 7]
    assert shed == {"stale": 2}


def test_patience_is_for_bursts_not_for_overload(shed: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for room all the time would only move the queue to the broker, where nobody sees how old it is."""
    monkeypatch.setattr(room, "PATIENCE_S", 0.05)
    pending = make(shed, max_per_device=1, max_age_s=0.12)
    pending._max_age_s, pending._patience_s = 0.12, 0.12
    waited = []
    for i in range(6):
        device = f"d{i}"  # each not degraded yet
        pending.put([window(device, 0)])
        begun = time.monotonic()
        pending.put([window(device, 1)])
        waited.append(time.monotonic() - begun)
    assert sum(waited) < 0.25
    assert waited[0] >= 0.05
    assert waited[-1] < 0.03
    assert shed == {"superseded": 6}
