"""The window queue: order, fairness, bounds, and what is shed."""

from __future__ import annotations

from collections import Counter
from threading import Thread

import numpy as np
import pytest

from hard.pipeline.overload_detector import FRESH_S, RECOVERY_S
from hard.pipeline.window_queue import QueueBounds, WindowQueue
from hard.records import Window


def window(device: str, end: int) -> Window:
    up = np.array([0, 0, 1], np.float32)
    return Window(device, end - 4.0, float(end), np.zeros((80, 3), np.float32), 1.0, up, up, False, 0.0, 0.0, 0.0)


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shed() -> Counter[str]:
    return Counter()


def make(
    shed: Counter[str], clock: FakeClock, *, max_age_s: float = 30.0, max_per_device: int = 64,
    max_windows: int = 50_000, hold_s: float = 0.01,
) -> WindowQueue:  # fmt: skip
    """Without a thread that takes, waiting for room would only take time: hence a short `hold_s`."""
    return WindowQueue(
        lambda reason, windows: shed.update({reason: len(windows)}),
        QueueBounds(max_age_s, max_per_device, max_windows), hold_s=hold_s, clock=clock,
    )  # fmt: skip


def ends(batch: list[Window], device: str) -> list[float]:
    return [w.end for w in batch if w.device == device]


def test_a_device_is_first_in_first_out(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock)
    window_queue.put([window("a", i) for i in range(5)])
    assert ends(window_queue.take(3), "a") == [0, 1, 2]
    assert ends(window_queue.take(9), "a") == [3, 4]
    assert not shed


def test_devices_take_turns_across_batches(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock)
    window_queue.put([window("a", i) for i in range(50)])
    window_queue.put([window("b", 0)])
    assert {w.device for w in window_queue.take(2)} == {"a", "b"}
    window_queue.put([window("c", 0)])
    assert [w.device for w in window_queue.take(3)] == ["a", "c", "a"]


def test_too_many_of_one_device_keep_the_newest_and_degrade(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_per_device=3)
    window_queue.put([window("a", i) for i in range(4)])
    window_queue.put([window("b", 0)])
    batch = window_queue.take(9)
    assert ends(batch, "a") == [3]
    assert shed == {"superseded": 3}
    assert {w.device: w.degraded for w in batch} == {"a": True, "b": False}


def test_a_burst_that_is_caught_up_in_a_moment_loses_nothing(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_per_device=4, hold_s=10)
    producer = Thread(target=lambda: (window_queue.put([window("a", i) for i in range(500)]), window_queue.close()))
    producer.start()
    taken: list[Window] = []
    while batch := window_queue.take(3):
        taken += batch
    producer.join()
    assert ends(taken, "a") == list(range(500))
    assert not shed


def test_a_stale_line_keeps_the_newest(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_age_s=30)
    window_queue.put([window("a", 0), window("a", 1)])
    clock.now = 31.0
    window_queue.put([window("a", 2)])
    batch = window_queue.take(9)
    assert ends(batch, "a") == [2]
    assert batch[0].degraded
    assert shed == {"stale": 2}


def test_a_backlog_within_the_age_limit_loses_nothing(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_age_s=30)
    window_queue.put([window("a", i) for i in range(60)])
    clock.now = 29.0
    assert ends(window_queue.take(99), "a") == list(range(60))
    assert not shed


def test_labels_say_degraded_until_nothing_was_shed_for_a_while(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_per_device=1)
    window_queue.put([window("a", 0), window("a", 1)])
    clock.now = 20.0
    assert [w.degraded for w in window_queue.take(9)] == [True]  # however long it waited after the one that was shed
    clock.now = RECOVERY_S - 0.1
    window_queue.put([window("a", 2)])
    assert [w.degraded for w in window_queue.take(9)] == [True]
    clock.now = RECOVERY_S + 0.1
    window_queue.put([window("a", 3)])
    assert [w.degraded for w in window_queue.take(9)] == [False]
    assert shed == {"superseded": 1}


def test_a_forgotten_device_is_not_degraded_when_it_returns(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_per_device=1)
    window_queue.put([window("a", 0), window("a", 1)])
    window_queue.forget("a")
    assert [w.degraded for w in window_queue.take(9)] == [False]


def test_the_whole_queue_is_bounded(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_windows=10, max_per_device=100)
    for device in "abc":
        window_queue.put([window(device, i) for i in range(8)])
    assert len(window_queue) <= 10 + 2  # a device may have its newest
    taken = len(window_queue.take(99))
    assert taken + shed["superseded"] == 24


def test_take_waits_and_close_wakes(shed: Counter[str], clock: FakeClock) -> None:
    window_queue, taken = make(shed, clock), []
    thread = Thread(target=lambda: taken.append(window_queue.take(5)))
    thread.start()
    window_queue.put([window("a", 1)])
    thread.join(60)
    assert len(taken[0]) == 1
    thread = Thread(target=lambda: taken.append(window_queue.take(5)))
    thread.start()
    window_queue.close()
    thread.join(60)
    assert taken[1] == []


def test_closing_still_gives_what_waits(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock)
    window_queue.put([window("a", 1)])
    window_queue.close()
    assert len(window_queue.take(5)) == 1
    assert window_queue.take(5) == []


def overloaded(shed: Counter[str], clock: FakeClock, max_age_s: float, hold_s: float = 0.01) -> WindowQueue:
    """A queue that was not empty for longer than `max_age_s`."""
    window_queue, end = make(shed, clock, max_age_s=max_age_s, max_per_device=4, hold_s=hold_s), 0
    window_queue.put([window("a", 0), window("b", 0)])
    while clock.now <= max_age_s:
        clock.now += 1.0
        window_queue.put([window("a", end := end + 1), window("b", end)])
        if clock.now <= max_age_s:
            window_queue.take(2)
    assert not shed
    return window_queue  # a and b have two windows each


def test_under_overload_only_what_is_fresh_is_served(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = overloaded(shed, clock, 10)
    window_queue.put([window("a", 90), window("a", 91)])
    clock.now += FRESH_S + 0.1
    batch = window_queue.take(9)
    assert [(w.device, w.end, w.degraded) for w in batch] == [("a", 91, True), ("b", 11, True)]
    assert shed == {"stale": 4}


def test_under_overload_put_does_not_wait_for_room(shed: Counter[str], clock: FakeClock) -> None:
    """Waiting would only move the queue to the broker, where the age of messages isn't seen."""
    window_queue = overloaded(shed, clock, 10, hold_s=60)
    window_queue.put([window("a", 90 + i) for i in range(4)])
    assert shed == {"superseded": 4}
    assert ends(window_queue.take(9), "a") == [92, 93]


def test_overload_ends_when_the_queue_is_empty_and_nothing_was_shed_for_a_while(
    shed: Counter[str], clock: FakeClock
) -> None:
    window_queue = overloaded(shed, clock, 10)
    window_queue.put([window("a", 90)])
    clock.now += 2.0
    window_queue.take(9)
    assert shed == {"stale": 3}
    for later_s in (RECOVERY_S - 2.5, RECOVERY_S + 2.5):
        clock.now += later_s
        window_queue.put([window("a", 100), window("a", 101)])
        clock.now += 2.0
        window_queue.take(9)
        assert shed == {"stale": 4}


def test_overload_that_comes_back_is_known_sooner(shed: Counter[str], clock: FakeClock) -> None:
    """Otherwise a load that pauses now and then would let all windows grow old again each time."""
    window_queue = overloaded(shed, clock, 30)
    window_queue.take(9)
    calm_s = RECOVERY_S + 1.0
    clock.now += calm_s
    shed.clear()
    window_queue.put([window("a", 100), window("b", 100)])
    clock.now += 1.0
    window_queue.put([window("a", 101), window("b", 101)])
    clock.now += calm_s
    assert [w.end for w in window_queue.take(9)] == [101, 101]
    assert shed == {"stale": 2}


def test_messages_longer_than_a_line_keep_no_overload_up(shed: Counter[str], clock: FakeClock) -> None:
    """`put` doesn't wait for room then, so each message is shed in part however low the load: it would never end."""
    window_queue = overloaded(shed, clock, 10)
    window_queue.take(9)
    for i in range(6):
        clock.now += 1.0
        window_queue.put([window("a", 100 + 10 * i + k) for k in range(6)])
        while len(window_queue):
            window_queue.take(9)
    assert shed == {"stale": 2, "superseded": 6 * 4}
    clock.now += 1.0
    window_queue.put([window("a", 200), window("a", 201)])
    clock.now += 2.0
    assert ends(window_queue.take(1), "a") == [200]


def test_a_pause_of_the_whole_process_is_no_overload(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_age_s=30)
    window_queue.put([window("a", 0), window("a", 1)])
    window_queue.take(1)
    clock.now = 60.0
    window_queue.put([window("b", i) for i in range(60)])
    assert ends(window_queue.take(1), "a") == [1]
    while len(window_queue):
        clock.now += 1.0
        batch = window_queue.take(4)
        assert not any(w.degraded for w in batch)
    assert not shed


def test_forgotten_devices_are_not_remembered_as_degraded(shed: Counter[str], clock: FakeClock) -> None:
    window_queue = make(shed, clock, max_per_device=1)
    for i in range(20):
        window_queue.put([window(f"d{i}", 0), window(f"d{i}", 1)])
        window_queue.forget(f"d{i}")
        window_queue.put([window(f"d{i}", 2)])
    assert window_queue.degraded == 20
    while len(window_queue):
        window_queue.take(9)
    clock.now += 60.0
    window_queue.put([window("a", 0)])
    assert window_queue.degraded == 0
