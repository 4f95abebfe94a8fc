"""Which devices are saved when, and how much of the log is needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import pytest
from support.assembly import DEFAULT_FRAME, GRID, message, samples
from support.motion import make_devices

from hard.journal.save_schedule import SaveSchedule
from hard.journal.store import SavedDevice
from hard.records import DeviceState, Window


def states(*names: str) -> list[DeviceState]:
    devices = make_devices(GRID, DEFAULT_FRAME)
    for name in names:
        devices.push(samples(message(name, 0)))
    return list(devices.states())


def windows(device: str, n: int) -> list[Window]:
    devices, found = make_devices(GRID, DEFAULT_FRAME), []
    for second in range(n + 3):
        found += devices.push(samples(message(device, second)))[0]
    return list(islice(found, n))


@pytest.fixture
def schedule() -> SaveSchedule:
    return SaveSchedule(10.0)


def names(rows: Sequence[SavedDevice]) -> list[str]:
    return [row.device for row in rows]


def test_a_device_is_due_ten_seconds_after_its_first_message_since_it_was_saved(schedule: SaveSchedule) -> None:
    schedule.heard("a", group=1, now=0.0)
    schedule.heard("b", group=2, now=5.0)
    schedule.heard("a", group=3, now=9.0)
    assert schedule.due(9.9, most=8) == []
    assert schedule.due(10.0, most=8) == ["a"]
    assert schedule.due(99.0, most=8) == ["b"]
    assert schedule.due(99.0, most=8) == []


def test_few_devices_are_due_at_once(schedule: SaveSchedule) -> None:
    for device in "abc":
        schedule.heard(device, group=1, now=0.0)
    assert schedule.due(10.0, most=2) == ["a", "b"]
    assert schedule.due(10.0, most=2) == ["c"]


def test_the_log_is_needed_from_the_first_group_that_a_device_was_not_saved_after(schedule: SaveSchedule) -> None:
    assert schedule.oldest_needed(7) == 8
    schedule.heard("a", group=3, now=0.0)
    schedule.heard("b", group=5, now=1.0)
    assert schedule.oldest_needed(7) == 3
    assert names(schedule.save(["a"], states("a", "b"), group=8, now=10.0)) == ["a"]
    assert schedule.oldest_needed(8) == 5


def test_unresolved_windows_are_saved_with_their_device_until_they_are_resolved(schedule: SaveSchedule) -> None:
    first, second = windows("a", 2)
    schedule.add_windows([first, second])
    schedule.heard("a", group=1, now=0.0)
    (row,) = schedule.save(["a"], states("a"), group=2, now=10.0)
    assert row.windows == [first, second]
    assert schedule.oldest_needed(2) == 2, "the log says when they are resolved"
    schedule.remove_window("a", first.window_id)
    assert schedule.unresolved() == [second]
    schedule.remove_window("a", second.window_id)
    assert not schedule.has_windows("a")
    assert schedule.due(20.0, most=8) == ["a"]
    (row,) = schedule.save(["a"], states("a"), group=3, now=20.0)
    assert row.windows == []
    assert schedule.oldest_needed(3) == 4


def test_the_row_of_a_forgotten_device_goes_when_the_log_has_no_message_of_it(schedule: SaveSchedule) -> None:
    schedule.heard("b", group=2, now=0.0)
    (row,) = schedule.save(["a"], [], group=3, now=1.0)
    assert row.state is None
    assert schedule.take_outlived(schedule.oldest_needed(3)) == []
    schedule.save(["b"], states("b"), group=4, now=10.0)
    assert schedule.take_outlived(schedule.oldest_needed(4)) == ["a"]
    assert schedule.take_outlived(9) == []


def test_a_forgotten_device_that_is_saved_again_keeps_its_row(schedule: SaveSchedule) -> None:
    schedule.save(["a"], [], group=3, now=1.0)
    schedule.save(["a"], states("a"), group=4, now=2.0)
    assert schedule.take_outlived(9) == []


def test_what_an_earlier_process_left_is_saved_at_once_in_the_order_of_its_groups(schedule: SaveSchedule) -> None:
    old, resolved = windows("a", 2)
    rows = [SavedDevice("a", 5, states("a")[0], [old, resolved]), SavedDevice("gone", 4, None, [])]
    schedule.recover(rows, {resolved.window_id}, now=100.0)
    schedule.heard_before("b", group=2, now=100.0)
    schedule.sort()
    assert schedule.unresolved() == [old]
    assert schedule.oldest_needed(6) == 2
    assert schedule.due(100.0, most=8) == ["b", "a"]
    assert schedule.take_outlived(5) == ["gone"]


def test_cleared_it_keeps_the_unresolved_windows(schedule: SaveSchedule) -> None:
    schedule.add_windows(windows("a", 1))
    schedule.heard("b", group=1, now=0.0)
    assert schedule.clear() == ["a"]
    assert schedule.due(99.0, most=8) == []
    assert len(schedule.unresolved()) == 1
