"""The journal, behind the real assembler: a process that is killed anywhere and started again makes what an undisturbed
one makes."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.assembly import COMPATIBILITY, DEFAULT_FRAME, GRID, START, Assembly, FakeClock, content, message, samples
from support.motion import make_devices

from hard.journal.journal import MAX_FAILED_STARTS, RETRY_S, Journal
from hard.journal.store import Store, StoreError
from hard.records import State, StateMemory, Window

OTHER_WINDOWS = COMPATIBILITY._replace(windows={"length_s": 10.0})


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sampled_from(["a", "b", "untimed"])),
        st.tuples(st.just("skip"), st.sampled_from(["a", "b"])),  # a second that never comes
        st.tuples(st.just("resolve"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["commit", "kill", "stop"]), st.none()),
    ),
    max_size=90,
)


@settings(max_examples=60)
@given(steps=STEPS, save_every_s=st.sampled_from([0.0, 1e9]))
def test_killed_anywhere_it_makes_what_an_undisturbed_process_makes(
    steps: list[tuple[str, Any]], save_every_s: float
) -> None:
    undisturbed, expected, made = make_devices(GRID, DEFAULT_FRAME), list[Window](), list[Window]()
    seconds = {"a": 0, "b": 0, "untimed": 0}
    resolved, written = set[str](), set[str]()
    with tempfile.TemporaryDirectory() as name:
        process = Assembly(Path(name), save_every_s=save_every_s)
        for step, value in steps:
            if step in ("take", "skip"):
                seconds[value] += 1
            if step == "take":
                new = message(value, float(seconds[value]), timed=value != "untimed")
                expected += undisturbed.push(samples(new))[0]
                process.receive(new)
            elif step == "resolve":
                resolved |= {window.window_id for window in process.unresolved[:value]}
                process.resolve(value)
            elif step == "commit":
                process.tick()
                assert not process.unacknowledged
                written = set(resolved)
            else:
                if step == "stop":
                    process.stop()
                    assert not process.unacknowledged
                    written = set(resolved)
                sent_again = process.kill()
                made += process.windows
                process = Assembly(Path(name), save_every_s=save_every_s)
                assert not process.journal.problem
                remembered = {f"{device}:{round(m.end * 1000)}" for device, m in process.publisher.memories.items()}
                assert remembered <= resolved
                for device, end in newest(written).items():
                    assert newest(remembered).get(device, 0) >= end, "a state is older than what was written"
                assert not written & {window.window_id for window in process.windows}, "labelled again"
                for again in sent_again:
                    process.receive(again)
                assert not any(process.accounting.counters().discrepancies())
        process.kill()
        made += process.windows
    assert content(made) == content(expected)


def newest(window_ids: set[str]) -> dict[str, int]:
    """The end in ms of each device's newest window."""
    ends = sorted((int(end), device) for device, _, end in (window_id.rpartition(":") for window_id in window_ids))
    return {device: end for end, device in ends}


def test_what_was_learnt_of_the_mounting_and_half_a_window_outlive_a_kill(folder: Path) -> None:
    undisturbed = make_devices(GRID, DEFAULT_FRAME)
    expected = [w for second in range(40) for w in undisturbed.push(samples(message("a", second)))[0]]
    assert expected[-1].calibrated
    made = []
    for second in range(40):
        process = Assembly(folder)
        process.receive(message("a", second))
        process.resolve()
        process.tick()
        process.kill()
        made += process.windows
    assert [w.window_id for w in made] == [w.window_id for w in expected], "each once"
    assert content(made) == content(expected)


def test_a_silence_is_remembered_until_the_device_is_forgotten(folder: Path) -> None:
    process = Assembly(folder, save_every_s=0.0)
    for second in range(5):
        process.receive(message("a", second))
    process.resolve()
    process.tick()
    silence = StateMemory(State("unknown", 9.0, 0.0), 5.0, 9.0)
    process.journal.mark_silent("a", silence)
    process.tick()
    process.tick()
    process.kill()
    again = Assembly(folder, save_every_s=0.0, forget_after_s=100.0)
    assert again.publisher.memories == {"a": silence}
    again.tick(200.0)
    again.journal.mark_silent("a", silence)  # the broker was slow
    again.tick(201.0)
    again.kill()
    assert Assembly(folder).publisher.memories == {}


def test_the_log_is_pruned_and_little_is_sent_again(folder: Path) -> None:
    process = Assembly(folder, save_every_s=0.0)
    for second in range(100):
        for device in ("a", "b", "c"):
            process.receive(message(device, second))
        process.resolve()
        process.tick()
    process.kill()
    assert Assembly(folder).replayed <= 6


def test_a_window_that_was_saved_is_what_it_was(folder: Path) -> None:
    process = Assembly(folder, save_every_s=0.0)
    for second in range(20):
        process.receive(message("a", second))
    process.tick()
    process.kill()
    again = Assembly(folder)
    assert again.replayed == 0
    assert len(again.windows[-1].before)
    assert content(again.windows) == content(process.windows)


def test_what_is_resolved_in_the_second_process_is_not_sent_by_the_third(folder: Path) -> None:
    first = Assembly(folder, save_every_s=0.0)
    for second in range(5):
        first.receive(message("a", second))
    first.tick()
    first.kill()
    process = Assembly(folder, save_every_s=0.0)
    assert len(process.windows) == 2
    process.resolve()
    for second in range(20):
        process.receive(message("b", second))
        process.tick()
        process.resolve()
    process.tick()
    process.kill()
    assert Assembly(folder).windows == []


def test_a_device_that_was_forgotten_does_not_come_back(folder: Path) -> None:
    process = Assembly(folder, forget_after_s=50)
    for second in range(6):
        process.receive(message("a", second))
    process.resolve()
    process.receive(message("b", 60))
    process.tick(60.0)
    process.receive(message("c", 61))
    process.tick()
    process.kill()
    again = Assembly(folder, forget_after_s=50)
    assert {state.device for state in again.devices.states()} == {"b", "c"}
    assert again.windows == []
    again.stop()
    again = Assembly(folder)
    again.receive(message("a", 100))  # the same name anew: a run of its own
    again.tick()
    again.kill()
    state = next(iter(Assembly(folder).devices.states(["a"])))
    assert state.buffer.run_start == START + 100


def test_a_device_that_was_forgotten_and_came_back_keeps_its_new_run(folder: Path) -> None:
    process = Assembly(folder, max_devices=1)
    for device, second in (("a", 0), ("b", 1), ("a", 50)):  # b takes the place of a before a tick reports it
        process.receive(message(device, second))
    process.tick(51.0)
    for second in range(51, 55):
        process.receive(message("a", second))
    process.tick()
    process.kill()
    assert [w.start for w in Assembly(folder, max_devices=1).windows] == [START + 50, START + 51]


def test_after_a_kill_a_device_that_works_is_not_driven_out_by_many_names(folder: Path) -> None:
    process = Assembly(folder, max_devices=3)
    for device, second in (("works", 0), ("works", 1), ("works", 2), ("works", 3), ("flood1", 4), ("flood2", 5)):
        process.receive(message(device, second))
    process.stop()
    again = Assembly(folder, max_devices=3)
    again.receive(message("flood3", 6))
    assert {state.device for state in again.devices.states()} == {"works", "flood2", "flood3"}


def test_a_file_of_another_format_is_set_aside(folder: Path) -> None:
    process = Assembly(folder)
    process.receive(message("a", 0))
    process.stop()
    with sqlite3.connect(folder / "journal.db") as db:
        db.execute("PRAGMA user_version=1")
    db.close()
    again = Assembly(folder)
    assert "has format 1" in again.journal.problem
    assert "is kept as" in again.journal.problem
    assert (folder / "journal.aside").is_file()
    assert (len(again.devices), again.journal.writing) == (0, True)


def test_windows_of_a_forgotten_device_are_labelled_all_the_same(folder: Path) -> None:
    process = Assembly(folder, forget_after_s=50)
    for second in range(5):
        process.receive(message("a", second))
    process.tick(60.0)
    process.receive(message("b", 60))
    process.tick()
    process.kill()
    again = Assembly(folder)
    assert [w.device for w in again.windows] == ["a", "a"]
    assert all(w.replayed for w in again.windows)
    again.resolve()
    again.tick()
    again.kill()
    assert Assembly(folder).windows == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_snapshot_is_taken_at_a_stop_and_of_a_crash_only_mountings_are_left(folder: Path, end: str) -> None:
    process = Assembly(folder, durability="snapshot")
    for second in range(20):
        process.receive(message("a", second))
    process.resolve()
    process.stop()
    process = Assembly(folder, durability="snapshot")
    assert (process.windows, process.accounting.counters().samples.restored) == ([], 60)
    process.receive(message("a", 20))
    getattr(process, end)()
    process.kill()
    again = Assembly(folder, durability="snapshot")
    again.receive(message("a", 21))
    assert [w.start for w in again.windows] == ([START + 17, START + 18] if end == "stop" else [])
    for second in range(22, 25):
        again.receive(message("a", second))
    assert again.windows[-1].calibrated


def test_of_a_snapshot_mountings_outlive_any_number_of_kills(folder: Path) -> None:
    process = Assembly(folder, durability="snapshot")
    for second in range(20):
        process.receive(message("a", second))
    process.resolve()
    process.stop()
    for _ in range(MAX_FAILED_STARTS + 2):
        process = Assembly(folder, durability="snapshot")
        assert process.journal.problem == ""
        assert next(iter(process.devices.states(["a"]))).mounting.windows > 0
        process.kill()
    again = Assembly(folder)  # and a change of `state.durability`
    assert again.accounting.counters().samples.restored == 0
    again.kill()
    again = Assembly(folder)
    for second in range(30, 34):
        again.receive(message("a", second))
    assert again.windows[0].calibrated


def test_a_snapshot_holds_what_was_there_at_the_stop_and_no_more(folder: Path) -> None:
    process = Assembly(folder, durability="snapshot", forget_after_s=50)
    for second in range(5):
        process.receive(message("gone", second))
    process.receive(message("a", 60))
    process.stop()
    process = Assembly(folder, durability="snapshot", forget_after_s=50)
    process.tick(61.0)
    process.stop()
    again = Assembly(folder, durability="snapshot")
    assert {state.device for state in again.devices.states()} == {"a"}
    assert [w.device for w in again.windows] == ["gone", "gone"], "not yet resolved"
    again.resolve()
    again.stop()
    assert Assembly(folder, durability="snapshot").windows == []


def test_clocks_are_kept_with_mountings_unless_payloads_are_read_in_another_way(folder: Path) -> None:
    process = Assembly(folder)
    process.receive(message("a", 0))
    process.stop()
    (before,) = process.devices.states()
    kept = []
    for compatibility in (OTHER_WINDOWS, OTHER_WINDOWS._replace(payloads={"unit": "m/s2"})):
        again = Assembly(folder, compatibility=compatibility)
        (state,) = again.devices.states()
        kept.append(state.clock.offset_s)
        again.stop()
    assert kept == [before.clock.offset_s, None]
    assert "the settings of payloads changed" in again.journal.problem


def test_under_another_grid_only_mountings_are_kept_and_that_is_reported(folder: Path) -> None:
    process = Assembly(folder)
    for second in range(20):
        process.receive(message("a", second))
    process.stop()
    again = Assembly(folder, compatibility=OTHER_WINDOWS)
    assert again.journal.problem == "the settings of windows changed: only what was learnt of devices is kept"
    assert (again.windows, again.replayed, again.accounting.counters().samples.restored) == ([], 0, 0)
    again.kill()
    process = Assembly(folder, compatibility=OTHER_WINDOWS)
    assert process.journal.problem == ""
    for second in range(30, 35):
        process.receive(message("a", second))
    assert process.windows[0].calibrated


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


@pytest.mark.parametrize("how", ["no database", "pages", "log SET messages", "log SET resolved", "devices SET state"])
def test_a_damaged_file_is_set_aside_and_the_daemon_goes_on(folder: Path, how: str) -> None:
    process = Assembly(folder)
    for device in ("a", "b"):
        for second in range(60):
            process.receive(message(device, second))
    process.resolve()
    process.stop()
    process = Assembly(folder)
    process.receive(message("a", 60))
    process.tick()
    process.store.flush()
    process.kill()
    damaged(folder / "journal.db", how)
    again = Assembly(folder)
    assert "is kept as" in again.journal.problem
    assert (folder / "journal.aside").is_file()
    assert again.journal.writing
    for second in range(100, 105):
        again.receive(message("a", second))
    again.resolve()
    again.tick()
    again.kill()
    again = Assembly(folder)
    again.receive(message("a", 105))
    assert [w.start for w in again.windows] == [START + 102]


def test_what_kills_every_start_is_set_aside(folder: Path) -> None:
    process = Assembly(folder)
    process.receive(message("a", 0))
    process.tick()
    process.kill()
    for _ in range(MAX_FAILED_STARTS):
        store = Store(folder / "journal.db", "normal")
        journal = Journal(store, "journal", COMPATIBILITY, clock=process.clock.gateway)
        assert next(iter(journal.start(lambda: None).messages))  # this message kills the process
        store.close()
    again = Assembly(folder)
    assert "was not read through" in again.journal.problem
    assert again.journal.writing


def test_two_processes_never_share_a_file(folder: Path) -> None:
    process = Assembly(folder)
    other = Assembly(folder)
    assert "in use by another process" in other.journal.problem
    assert not other.journal.writing
    other.receive(message("a", 0))
    other.tick()
    process.kill()


def test_a_full_disk_suspends_the_journal_and_it_goes_on_whole_when_there_is_room(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = Assembly(folder)
    with process.store.transaction() as database:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count={pages + 5}")
    for second in range(60):
        small = message("a", second)
        process.receive(replace(small, payload=small.payload + b" " * 4000))
        process.resolve()
        process.tick()
    assert not process.journal.writing
    assert "full" in process.journal.problem
    assert not process.unacknowledged, "it goes on without a journal"
    assert caplog.text.count("a crash would lose samples") == 1
    process.clock.now += RETRY_S - 0.1
    process.tick()
    assert not process.journal.writing
    process.clock.now += 0.1
    process.tick()
    assert process.journal.writing
    assert process.journal.problem == ""
    process.receive(message("a", 60))
    process.tick()
    process.kill()
    again = Assembly(folder)
    again.receive(message("a", 61))
    assert [w.start - START for w in again.windows] == [57, 58]
    assert again.windows[-1].calibrated


def test_what_can_be_read_at_the_start_is_used_though_nothing_can_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Assembly(folder)
    for second in range(5):
        process.receive(message("a", second))
    process.tick()
    process.kill()

    def full(*_: object, **__: object) -> None:
        raise StoreError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "describe", full)
        patch.setattr(Store, "write", full)
        again = Assembly(folder)
        assert again.journal.problem == "disk is full"
        assert not again.journal.writing
        assert content(again.windows) == content(process.windows)
    again.receive(message("a", 5))
    again.clock.now += RETRY_S
    again.tick()
    assert (again.journal.writing, again.journal.problem) == (True, "")
    again.kill()
    last = Assembly(folder)
    assert content(last.windows) == content(again.windows)
    last.receive(message("a", 6))
    assert last.windows[-1].start == START + 3
    assert last.windows[-1].coverage == 1


def test_what_was_never_read_is_set_aside_and_not_overwritten(folder: Path) -> None:
    """A second daemon in the same directory, and the first is stopped."""
    process = Assembly(folder)
    for second in range(5):
        process.receive(message("a", second))
    process.tick()
    other = Assembly(folder)
    assert "in use" in other.journal.problem
    other.receive(message("b", 6))
    other.tick()
    process.stop()
    other.clock.now += RETRY_S
    other.tick()
    assert other.journal.writing
    assert "was not read" in other.journal.problem
    assert "is kept as" in other.journal.problem
    other.kill()
    again = Assembly(folder)
    assert [state.device for state in again.devices.states()] == ["b"]
    again.kill()
    for suffix in ("", "-wal"):
        (folder / f"journal.db{suffix}").unlink(missing_ok=True)
    (folder / "journal.aside").rename(folder / "journal.db")
    back = Assembly(folder)
    assert [state.device for state in back.devices.states()] == ["a"]
    assert content(back.windows) == content(process.windows)


def test_a_log_that_could_not_be_read_to_its_end_is_set_aside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Assembly(folder)
    for second in range(5):
        process.receive(message("a", second))
        process.tick()
    process.kill()
    read = Store.messages

    def fails(store: Store) -> Iterator[Any]:
        yield next(read(store))
        raise StoreError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "messages", fails)
        again = Assembly(folder)
    assert (again.replayed, again.journal.problem) == (1, "disk I/O error")
    again.stop()
    (folder / "journal.aside").rename(folder / "journal.db")
    assert content(Assembly(folder).windows) == content(process.windows)


def test_a_file_that_cannot_be_begun_afresh_stays_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Assembly(folder)
    for second in range(20):
        process.receive(message("a", second))
    process.stop()

    def full(*_: object, **__: object) -> None:
        raise StoreError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        again = Assembly(folder, compatibility=OTHER_WINDOWS)
        assert again.journal.problem == "disk is full"
        assert not again.journal.close(again.devices)
    assert content(Assembly(folder).windows) == content(process.windows)


def test_a_state_directory_that_cannot_be_used_is_reported(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    process = Assembly(folder / "file")
    assert "file can't be used" in process.journal.problem
    process.receive(message("a", 0))
    process.tick()
    assert not process.journal.close(process.devices)


def test_after_a_boot_monotonic_times_are_shifted(folder: Path) -> None:
    process = Assembly(folder, clock=FakeClock(5000.0))
    process.receive(message("a", 4990))
    process.stop()
    clock = FakeClock(7.0, wall_ahead_s=START + 5093, boot="another")  # 100 s later, 7 s after the boot
    state = next(iter(Assembly(folder, clock=clock).devices.states()))
    assert state.last_received == pytest.approx(7.0 - 110, abs=0.2)


def test_after_a_boot_and_a_kill_times_are_still_right(folder: Path) -> None:
    """Also of devices that send nothing after the boot: a time from before it would seem to lie days ahead."""
    process = Assembly(folder, clock=FakeClock(900_000.0))
    process.receive(message("quiet", 899_990))
    process.stop()
    clock = FakeClock(7.0, wall_ahead_s=START + 900_093, boot="another")
    process = Assembly(folder, clock=clock)
    process.receive(message("loud", 7))
    process.tick()
    process.kill()
    heard = {state.device: state.last_received for state in Assembly(folder, clock=clock).devices.states()}
    assert heard == {"quiet": pytest.approx(7.0 - 110, abs=0.2), "loud": pytest.approx(7, abs=0.2)}


def test_a_device_restored_is_silent_when_its_time_comes(folder: Path) -> None:
    process = Assembly(folder)
    process.receive(message("a", 0))
    process.stop()
    process = Assembly(folder)
    events, _ = process.devices.tick(61.0)
    assert [event.kind for event in events] == ["new", "silent"]
