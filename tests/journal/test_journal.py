"""The journal: a process that is killed anywhere and started again makes what an undisturbed one makes."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hard.journal import journal as room
from hard.journal.journal import Journal
from hard.journal.store import Store, StoreError
from hard.motion.devices import DeviceRules, Devices
from hard.motion.mounting import Frame
from hard.motion.windows import Grid
from hard.records import Message, Samples, Window

GRID = Grid(4.0, 20.0)
USUAL = Frame(np.array([0, 1, 0], np.float32), np.array([0, 0, 1], np.float32), calibrated=False)
KIND: dict[str, object] = {"length_s": 4.0}
START = 1_700_000_000.0


def message(device: str, second: float, *, timed: bool = True) -> Message:
    """A second of steps; `payload` says which, so that decoding is no matter here."""
    at = float(second + 0.1 * np.sin(7 * second))  # late by more or less
    return Message(device, json.dumps([second, timed]).encode(), at, START + at)


def samples(message: Message) -> Samples:
    second, timed = json.loads(message.payload)
    t = second + np.arange(20) / 20
    xyz = np.stack([np.sin(11 * t), 9.8 + 4 * np.sin(11.3 * t), np.cos(11.3 * t)], axis=1)
    time = START + t if timed else None
    return Samples(message.topic, time, xyz, message.received_at, message.received_wall, 20.0)


class Process:
    """What the assemble thread does, one step a call."""

    def __init__(self, folder: Path, kind: dict[str, object] = KIND, durability: Any = "journal", **rules: Any) -> None:
        self.devices = Devices(GRID, USUAL, DeviceRules(**rules))
        self.store = Store(folder / "journal.db")
        self.journal = Journal(self.store, durability, kind)
        self.made: list[Window] = []
        self.unwritten: list[Message] = []
        self.waiting: list[Window] = []
        left = self.journal.start(lambda: None)
        self.left = left
        self.restored = self.devices.restore(left.devices, left.shift_s, whole=left.whole)
        self._made(left.windows)
        self.replayed = 0
        for again in left.messages:
            self.replayed += 1
            windows, _ = self.devices.push(samples(again))
            windows = [window for window in windows if window.window_id not in left.settled]
            self.journal.closed(again.topic, windows)
            self._made(windows)
        self.commit()

    def take(self, message: Message) -> None:
        windows, _ = self.devices.push(samples(message))
        self.journal.took(message, message.topic, windows)
        self.unwritten.append(message)
        self._made(windows)

    def settle(self, most: int) -> None:
        for window in self.waiting[:most]:
            self.journal.mark_resolved(window)
        del self.waiting[:most]

    def commit(self) -> None:
        self.journal.commit(self.devices)
        self.unwritten.clear()

    def forget(self, now: float) -> None:
        self.commit()
        events, _ = self.devices.tick(now)
        for event in events:
            if event.kind in ("forgotten", "dismissed"):
                self.journal.changed(event.device)
        self.commit()

    def die(self) -> None:
        """As kill -9 does: nothing is written any more, and the lock is let go."""
        self.store.close()

    def stop(self) -> None:
        self.commit()
        assert self.journal.close(self.devices)

    def _made(self, windows: Iterable[Window]) -> None:
        self.made += windows
        self.waiting += windows


def told(windows: Iterable[Window]) -> dict[str, tuple[Any, ...]]:
    """Each window by its id, with all that the model sees of it."""
    return {
        w.window_id: (
            w.start,
            w.xyz.tobytes(),
            w.coverage,
            w.up.tobytes(),
            w.forward.tobytes(),
            w.calibrated,
            w.clock_offset_s,
            w.gait_amplitude_ms2,
        )
        for w in windows
    }


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SAVE_EVERY_S", room.SAVE_EVERY_S)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sampled_from(["a", "b", "untimed"])),
        st.tuples(st.just("skip"), st.sampled_from(["a", "b"])),  # a second that never comes
        st.tuples(st.just("settle"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["commit", "kill", "stop"]), st.none()),
    ),
    max_size=90,
)


@settings(max_examples=60)
@given(steps=STEPS, save_every_s=st.sampled_from([0.0, 1e9]))
def test_killed_anywhere_it_makes_what_an_undisturbed_process_makes(
    steps: list[tuple[str, Any]], save_every_s: float
) -> None:
    room.SAVE_EVERY_S = save_every_s
    undisturbed, expected, made = Devices(GRID, USUAL), list[Window](), list[Window]()
    seconds = {"a": 0, "b": 0, "untimed": 0}
    settled, written = set[str](), set[str]()
    with tempfile.TemporaryDirectory() as name:
        process = Process(Path(name))
        for step, value in steps:
            if step in ("take", "skip"):
                seconds[value] += 1
            if step == "take":
                new = message(value, float(seconds[value]), timed=value != "untimed")
                expected += undisturbed.push(samples(new))[0]
                process.take(new)
            elif step == "settle":
                settled |= {window.window_id for window in process.waiting[:value]}
                process.settle(value)
            elif step == "commit":
                process.commit()
                written = set(settled)
            else:
                lost = list(process.unwritten)
                if step == "stop":
                    process.stop()
                    lost, written = [], set(settled)
                process.die()
                made += process.made
                process = Process(Path(name))
                assert not process.journal.problem
                assert not written & {window.window_id for window in process.made}, "labelled again"
                for again in lost:  # the broker sends again what was not acknowledged
                    process.take(again)
        process.die()
        made += process.made
    assert told(made) == told(expected)


def test_what_was_learnt_of_the_mounting_and_half_a_window_outlive_a_kill(folder: Path) -> None:
    undisturbed = Devices(GRID, USUAL)
    expected = [w for second in range(40) for w in undisturbed.push(samples(message("a", second)))[0]]
    assert expected[-1].calibrated
    made = []
    for second in range(40):
        process = Process(folder)
        process.take(message("a", second))
        process.settle(9)
        process.commit()
        process.die()
        made += process.made
    assert [w.window_id for w in made] == [w.window_id for w in expected], "each once"
    assert told(made) == told(expected)


def test_the_log_is_pruned_and_little_is_sent_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SAVE_EVERY_S", 0.0)
    process = Process(folder)
    for second in range(100):
        for device in ("a", "b", "c"):
            process.take(message(device, second))
        process.settle(9)
        process.commit()
    process.die()
    assert Process(folder).replayed <= 6


def test_a_window_that_was_saved_is_what_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SAVE_EVERY_S", 0.0)
    process = Process(folder)
    for second in range(20):
        process.take(message("a", second))
    process.commit()
    process.die()
    again = Process(folder)
    assert again.replayed == 0
    assert again.made[-1].gait_amplitude_ms2 > 0
    assert told(again.made) == told(process.made)


def test_what_is_settled_by_the_second_process_is_not_sent_by_the_third(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SAVE_EVERY_S", 0.0)
    first = Process(folder)
    for second in range(5):
        first.take(message("a", second))
    first.commit()
    first.die()
    process = Process(folder)
    assert len(process.made) == 2
    process.settle(9)
    for second in range(20):
        process.take(message("b", second))
        process.commit()
        process.settle(9)
    process.commit()
    process.die()
    assert Process(folder).made == []


def test_a_device_that_was_forgotten_does_not_come_back(folder: Path) -> None:
    process = Process(folder, forget_after_s=50)
    for second in range(6):
        process.take(message("a", second))
    process.settle(9)
    process.take(message("b", 60))
    process.forget(60.0)
    process.take(message("c", 61))
    process.commit()
    process.die()
    again = Process(folder, forget_after_s=50)
    assert {state.device for state in again.devices.states()} == {"b", "c"}
    assert again.made == []
    again.stop()
    again = Process(folder)
    again.take(message("a", 100))  # the same name anew: a run of its own
    again.commit()
    again.die()
    state = next(iter(Process(folder).devices.states(["a"])))
    assert state.first == START + 100


def test_a_device_that_was_forgotten_and_came_back_keeps_its_new_life(folder: Path) -> None:
    process = Process(folder, max_devices=1)
    for device, second in (("a", 0), ("b", 1), ("a", 50)):  # b makes a leave before anybody has told the journal
        process.take(message(device, second))
    process.forget(51.0)
    for second in range(51, 55):
        process.take(message("a", second))
    process.commit()
    process.die()
    assert [w.start for w in Process(folder, max_devices=1).made] == [START + 50, START + 51]


def test_after_a_kill_a_device_that_works_is_not_driven_out_by_many_names(folder: Path) -> None:
    process = Process(folder, max_devices=3)
    for device, second in (("works", 0), ("works", 1), ("works", 2), ("works", 3), ("flood1", 4), ("flood2", 5)):
        process.take(message(device, second))
    process.stop()
    again = Process(folder, max_devices=3)
    again.take(message("flood3", 6))
    assert {state.device for state in again.devices.states()} == {"works", "flood2", "flood3"}


def test_a_file_of_before_newcomers_were_kept_is_read(folder: Path) -> None:
    process = Process(folder)
    for second in range(5):
        process.take(message("a", second))
    process.stop()
    with sqlite3.connect(folder / "journal.db") as db:
        (state,) = db.execute("SELECT state FROM devices").fetchone()
        db.execute("UPDATE devices SET state = ?", (msgspec.msgpack.encode(msgspec.msgpack.decode(state)[:-1]),))
    db.close()
    again = Process(folder)
    assert again.journal.problem == ""
    again.take(message("a", 5))
    assert told(again.made[:2]) == told(process.made)
    assert again.made[-1].start == START + 2


def test_windows_of_a_forgotten_device_are_labelled_all_the_same(folder: Path) -> None:
    process = Process(folder, forget_after_s=50)
    for second in range(5):
        process.take(message("a", second))
    process.forget(60.0)
    process.take(message("b", 60))
    process.commit()
    process.die()
    again = Process(folder)
    assert [w.device for w in again.made] == ["a", "a"]
    assert all(w.replayed for w in again.made)
    again.settle(9)
    again.commit()
    again.die()
    assert Process(folder).made == []


@pytest.mark.parametrize("end", ["stop", "die"])
def test_a_snapshot_is_taken_at_a_stop_and_of_a_crash_only_mountings_are_left(folder: Path, end: str) -> None:
    process = Process(folder, durability="snapshot")
    for second in range(20):
        process.take(message("a", second))
    process.settle(99)
    process.stop()
    process = Process(folder, durability="snapshot")
    assert (process.made, process.restored.restored) == ([], 60)
    process.take(message("a", 20))
    getattr(process, end)()
    process.die()
    again = Process(folder, durability="snapshot")
    again.take(message("a", 21))
    assert [w.start for w in again.made] == ([START + 17, START + 18] if end == "stop" else [])
    for second in range(22, 25):
        again.take(message("a", second))
    assert again.made[-1].calibrated


def test_of_a_snapshot_mountings_outlive_any_number_of_kills(folder: Path) -> None:
    process = Process(folder, durability="snapshot")
    for second in range(20):
        process.take(message("a", second))
    process.settle(99)
    process.stop()
    for _ in range(room.MOST_STARTS + 2):
        process = Process(folder, durability="snapshot")
        assert process.journal.problem == ""
        assert next(iter(process.devices.states(["a"]))).mounting.any()
        process.die()
    again = Process(folder)  # and a change of `state.durability`
    assert (again.left.whole, again.restored.restored) == (False, 0)
    again.die()
    again = Process(folder)
    for second in range(30, 34):
        again.take(message("a", second))
    assert again.made[0].calibrated


def test_a_snapshot_holds_what_was_there_at_the_stop_and_no_more(folder: Path) -> None:
    process = Process(folder, durability="snapshot", forget_after_s=50)
    for second in range(5):
        process.take(message("gone", second))
    process.take(message("a", 60))
    process.stop()
    process = Process(folder, durability="snapshot", forget_after_s=50)
    process.forget(61.0)
    process.stop()
    again = Process(folder, durability="snapshot")
    assert {state.device for state in again.devices.states()} == {"a"}
    assert [w.device for w in again.made] == ["gone", "gone"], "not yet settled"
    again.settle(9)
    again.stop()
    assert Process(folder, durability="snapshot").made == []


def test_under_another_grid_only_mountings_are_kept_and_that_is_told(folder: Path) -> None:
    process = Process(folder)
    for second in range(20):
        process.take(message("a", second))
    process.stop()
    again = Process(folder, kind={"length_s": 10.0})
    assert "only mountings are kept" in again.journal.problem
    assert (again.made, again.replayed, again.restored.restored) == ([], 0, 0)
    again.die()
    process = Process(folder, kind={"length_s": 10.0})
    assert process.journal.problem == ""
    for second in range(30, 35):
        process.take(message("a", second))
    assert process.made[0].calibrated


def damaged(path: Path, how: str) -> None:
    if how == "no database":
        path.write_bytes(os.urandom(10_000))
    elif how == "pages":
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
    else:
        with sqlite3.connect(path) as db:
            db.execute(f"UPDATE {how} = x'c1c1'")
        db.close()


@pytest.mark.parametrize("how", ["no database", "pages", "log SET messages", "log SET settled", "devices SET state"])
def test_a_damaged_file_is_set_aside_and_the_daemon_goes_on(folder: Path, how: str) -> None:
    process = Process(folder)
    for device in ("a", "b"):
        for second in range(60):
            process.take(message(device, second))
    process.settle(999)
    process.stop()
    process = Process(folder)
    process.take(message("a", 60))
    process.commit()
    process.store.flush()
    process.die()
    damaged(folder / "journal.db", how)
    again = Process(folder)
    assert "is kept as" in again.journal.problem
    assert (folder / "journal.aside").is_file()
    assert again.journal.writing
    for second in range(100, 105):
        again.take(message("a", second))
    again.settle(999)
    again.commit()
    again.die()
    again = Process(folder)
    again.take(message("a", 105))
    assert [w.start for w in again.made] == [START + 102]


def test_what_kills_every_start_is_set_aside(folder: Path) -> None:
    process = Process(folder)
    process.take(message("a", 0))
    process.commit()
    process.die()
    for _ in range(room.MOST_STARTS):
        journal = Journal(Store(folder / "journal.db"), "journal", KIND)
        assert next(iter(journal.start(lambda: None).messages))  # and there it dies
        journal._store.close()
    again = Process(folder)
    assert "was not read through" in again.journal.problem
    assert again.journal.writing


def test_two_processes_never_share_a_file(folder: Path) -> None:
    process = Process(folder)
    other = Process(folder)
    assert "in use by another process" in other.journal.problem
    assert not other.journal.writing
    other.take(message("a", 0))
    other.commit()
    process.die()


def test_a_full_disk_suspends_the_journal_and_it_goes_on_whole_when_there_is_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(folder)
    database = process.store._database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count={pages + 5}")
    for second in range(60):
        small = message("a", second)
        process.take(replace(small, payload=small.payload + b" " * 4000))
        process.settle(9)
        process.commit()
    assert not process.journal.writing
    assert "full" in process.journal.problem
    assert caplog.text.count("a crash would lose samples") == 1
    monkeypatch.setattr(room, "RETRY_S", 0.0)
    process.journal._retry_at = 0.001
    process.commit()
    assert process.journal.writing
    assert process.journal.problem == ""
    process.take(message("a", 60))
    process.commit()
    process.die()
    again = Process(folder)
    again.take(message("a", 61))
    assert [w.start - START for w in again.made] == [57, 58]
    assert again.made[-1].calibrated


def test_what_can_be_read_at_the_start_is_used_though_nothing_can_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(folder)
    for second in range(5):
        process.take(message("a", second))
    process.commit()
    process.die()

    def full(*_: object, **__: object) -> None:
        raise StoreError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "describe", full)
        patch.setattr(Store, "write", full)
        again = Process(folder)
        assert again.journal.problem == "disk is full"
        assert not again.journal.writing
        assert told(again.made) == told(process.made)
    again.take(message("a", 5))
    again.journal._retry_at = 0.001
    again.commit()
    assert (again.journal.writing, again.journal.problem) == (True, "")
    again.die()
    last = Process(folder)
    assert told(last.made) == told(again.made)
    last.take(message("a", 6))
    assert last.made[-1].start == START + 3
    assert last.made[-1].coverage == 1


def test_what_was_never_read_is_set_aside_and_not_overwritten(folder: Path) -> None:
    """A second daemon in the same directory, and the first is stopped."""
    process = Process(folder)
    for second in range(5):
        process.take(message("a", second))
    process.commit()
    other = Process(folder)
    assert "in use" in other.journal.problem
    other.take(message("b", 6))
    other.commit()
    process.stop()
    other.journal._retry_at = 0.001
    other.commit()
    assert other.journal.writing
    assert "was not read" in other.journal.problem
    assert "is kept as" in other.journal.problem
    other.die()
    again = Process(folder)
    assert [state.device for state in again.devices.states()] == ["b"]
    again.die()
    for suffix in ("", "-wal"):
        (folder / f"journal.db{suffix}").unlink(missing_ok=True)
    (folder / "journal.aside").rename(folder / "journal.db")
    back = Process(folder)
    assert [state.device for state in back.devices.states()] == ["a"]
    assert told(back.made) == told(process.made)


def test_a_log_that_could_not_be_read_to_its_end_is_set_aside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(folder)
    for second in range(5):
        process.take(message("a", second))
        process.commit()
    process.die()
    read = Store.messages

    def fails(store: Store) -> Iterator[Any]:
        yield next(read(store))
        raise StoreError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "messages", fails)
        again = Process(folder)
    assert (again.replayed, again.journal.problem) == (1, "disk I/O error")
    again.stop()
    (folder / "journal.aside").rename(folder / "journal.db")
    assert told(Process(folder).made) == told(process.made)


def test_a_file_that_cannot_be_begun_afresh_stays_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(folder)
    for second in range(20):
        process.take(message("a", second))
    process.stop()

    def full(*_: object, **__: object) -> None:
        raise StoreError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        again = Process(folder, kind={"length_s": 10.0})
        assert again.journal.problem == "disk is full"
        assert not again.journal.close(again.devices)
    assert told(Process(folder).made) == told(process.made)


def test_a_state_directory_that_cannot_be_is_told(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    process = Process(folder / "file")
    assert "file can't be used" in process.journal.problem
    process.take(message("a", 0))
    process.commit()
    assert not process.journal.close(process.devices)


def test_after_a_boot_monotonic_times_are_shifted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5000.0]
    monkeypatch.setattr(room, "monotonic", lambda: now[0])
    monkeypatch.setattr(room, "time", lambda: START + now[0])
    process = Process(folder)
    process.take(message("a", 4990))
    process.stop()
    monkeypatch.setattr(room, "_boot", lambda: "another")
    monkeypatch.setattr(room, "monotonic", lambda: 7.0)  # 100 s later by the wall clock, 7 s after the boot
    monkeypatch.setattr(room, "time", lambda: START + 5100)
    state = next(iter(Process(folder).devices.states()))
    assert state.last_received == pytest.approx(7.0 - 110, abs=0.2)


def test_after_a_boot_and_a_kill_times_are_still_right(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of devices that say nothing after the boot too: a time of before would seem to lie days ahead."""
    monkeypatch.setattr(room, "monotonic", lambda: 900_000.0)
    monkeypatch.setattr(room, "time", lambda: START + 900_000)
    process = Process(folder)
    process.take(message("quiet", 899_990))
    process.stop()
    monkeypatch.setattr(room, "_boot", lambda: "another")
    monkeypatch.setattr(room, "monotonic", lambda: 7.0)
    monkeypatch.setattr(room, "time", lambda: START + 900_100)
    process = Process(folder)
    process.take(message("loud", 7))
    process.commit()
    process.die()
    heard = {state.device: state.last_received for state in Process(folder).devices.states()}
    assert heard == {"quiet": pytest.approx(7.0 - 110, abs=0.2), "loud": pytest.approx(7, abs=0.2)}


def test_a_device_restored_is_silent_when_its_time_comes(folder: Path) -> None:
    process = Process(folder)
    process.take(message("a", 0))
    process.stop()
    process = Process(folder)
    events, _ = process.devices.tick(61.0)
    assert [event.kind for event in events] == ["new", "silent"]
