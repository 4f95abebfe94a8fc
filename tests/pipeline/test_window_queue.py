"""WindowQueue windows: order, fairness, bounds, and what is shed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest

from hard.pipeline import window_queue as room
from hard.pipeline.window_queue import QueueBounds, WindowQueue
from hard.records import Window


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
    monkeypatch.setattr(room, "HOLD_S", 0.01)


@pytest.fixture
def shed() -> Counter[str]:
    return Counter()


def make(shed: Counter[str], **bounds: float) -> WindowQueue:
    given = replace(QueueBounds(max_age_s=30.0, max_per_device=64, max_windows=50_000), **bounds)  # type: ignore[arg-type]
    return WindowQueue(lambda reason, windows: shed.update({reason: len(windows)}), given)


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
    monkeypatch.setattr(room, "HOLD_S", 10)
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


def test_labels_say_degraded_until_nothing_was_shed_for_a_while(shed: Counter[str], clock: list[float]) -> None:
    pending = make(shed, max_per_device=1)
    pending.put([window("a", 0), window("a", 1)])
    clock[0] = 20.0
    assert [w.degraded for w in pending.take(9)] == [True]  # however long it waited after the one that was shed
    clock[0] = room.SETTLED_S - 0.1
    pending.put([window("a", 2)])
    assert [w.degraded for w in pending.take(9)] == [True]
    clock[0] = room.SETTLED_S + 0.1
    pending.put([window("a", 3)])
    assert [w.degraded for w in pending.take(9)] == [False]
    assert shed == {"superseded": 1}


def test_a_forgotten_device_is_well_when_it_returns(shed: Counter[str]) -> None:
    pending = make(shed, max_per_device=1)
    pending.put([window("a", 0), window("a", 1)])
    pending.forget("a")
    assert [w.degraded for w in pending.take(9)] == [False]


def test_the_whole_store_is_bounded(shed: Counter[str]) -> None:
    pending = make(shed, max_windows=10, max_per_device=100)
    for device in "abc":
        pending.put([window(device, i) for i in range(8)])
    assert len(pending) <= 10 + 2  # a device may have its newest
    taken = len(pending.take(99))
    assert taken + shed["superseded"] == 24


def test_take_waits_and_close_wakes(shed: Counter[str]) -> None:
    pending, taken = make(shed), []
    thread = Thread(target=lambda: taken.append(pending.take(5)))
    thread.start()
    pending.put([window("a", 1)])
    thread.join(60)
    assert len(taken[0]) == 1
    thread = Thread(target=lambda: taken.append(pending.take(5)))
    thread.start()
    pending.close()
    thread.join(60)
    assert taken[1] == []


def test_closing_still_gives_what_waits(shed: Counter[str]) -> None:
    pending = make(shed)
    pending.put([window("a", 1)])
    pending.close()
    assert len(pending.take(5)) == 1
    assert pending.take(5) == []


def overloaded(shed: Counter[str], clock: list[float], max_age_s: float) -> WindowQueue:
    """A store that was not empty for longer than `max_age_s`."""
    pending, end = make(shed, max_age_s=max_age_s, max_per_device=4), 0
    pending.put([window("a", 0), window("b", 0)])
    while clock[0] <= max_age_s:
        clock[0] += 1.0
        pending.put([window("a", end := end + 1), window("b", end)])
        if clock[0] <= max_age_s:
            pending.take(2)
    assert not shed
    return pending  # a and b have two windows each


def test_under_overload_only_what_is_fresh_is_served(shed: Counter[str], clock: list[float]) -> None:
    pending = overloaded(shed, clock, 10)
    pending.put([window("a", 90), window("a", 91)])
    clock[0] += room.FRESH_S + 0.1
    batch = pending.take(9)
    assert [(w.device, w.end, w.degraded) for w in batch] == [("a", 91, True), ("b", 11, True)]
    assert shed == {"stale": 4}


def test_under_overload_nobody_waits_for_room(
    shed: Counter[str], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would only move the queue to the broker, where nobody sees how old it is."""
    monkeypatch.setattr(room, "HOLD_S", 60)
    pending = overloaded(shed, clock, 10)
    pending.put([window("a", 90 + i) for i in range(4)])
    assert shed == {"superseded": 4}
    assert ends(pending.take(9), "a") == [92, 93]


def test_overload_ends_when_the_store_is_empty_and_nothing_was_shed_for_a_while(
    shed: Counter[str], clock: list[float]
) -> None:
    pending = overloaded(shed, clock, 10)
    pending.put([window("a", 90)])
    clock[0] += 2.0
    pending.take(9)
    assert shed == {"stale": 3}
    for later_s in (room.SETTLED_S - 2.5, room.SETTLED_S + 2.5):
        clock[0] += later_s
        pending.put([window("a", 100), window("a", 101)])
        clock[0] += 2.0
        pending.take(9)
        assert shed == {"stale": 4}


def test_overload_that_comes_back_is_known_sooner(shed: Counter[str], clock: list[float]) -> None:
    """Else a load that pauses now and then would let everything grow old again each time."""
    pending = overloaded(shed, clock, 30)
    pending.take(9)
    calm_s = room.SETTLED_S + 1.0
    clock[0] += calm_s
    shed.clear()
    pending.put([window("a", 100), window("b", 100)])
    clock[0] += 1.0
    pending.put([window("a", 101), window("b", 101)])
    clock[0] += calm_s
    assert [w.end for w in pending.take(9)] == [101, 101]
    assert shed == {"stale": 2}


def test_messages_longer_than_a_line_keep_no_overload_up(shed: Counter[str], clock: list[float]) -> None:
    """Nobody waits for room then, so each is shed in part however little there is to do: it would never end."""
    pending = overloaded(shed, clock, 10)
    pending.take(9)
    for i in range(6):
        clock[0] += 1.0
        pending.put([window("a", 100 + 10 * i + k) for k in range(6)])
        while len(pending):
            pending.take(9)
    assert shed == {"stale": 2, "superseded": 6 * 4}
    clock[0] += 1.0
    pending.put([window("a", 200), window("a", 201)])
    clock[0] += 2.0
    assert ends(pending.take(1), "a") == [200]


def test_a_pause_of_the_whole_process_is_no_overload(shed: Counter[str], clock: list[float]) -> None:
    pending = make(shed, max_age_s=30)
    pending.put([window("a", 0), window("a", 1)])
    pending.take(1)
    clock[0] = 60.0
    pending.put([window("b", i) for i in range(60)])
    assert ends(pending.take(1), "a") == [1]
    while len(pending):
        clock[0] += 1.0
        batch = pending.take(4)
        assert not any(w.degraded for w in batch)
    assert not shed


def test_devices_that_are_gone_are_not_remembered_as_degraded(shed: Counter[str], clock: list[float]) -> None:
    pending = make(shed, max_per_device=1)
    for i in range(20):
        pending.put([window(f"d{i}", 0), window(f"d{i}", 1)])
        pending.forget(f"d{i}")
        pending.put([window(f"d{i}", 2)])
    assert len(pending._degraded) == 20
    while len(pending):
        pending.take(9)
    clock[0] += 60.0
    pending.put([window("a", 0)])
    assert not pending._degraded
