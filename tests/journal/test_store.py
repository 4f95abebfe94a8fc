"""The journal's file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.assembly import DEFAULT_FRAME, GRID, START, message, samples
from support.motion import make_devices

from hard.journal.store import MessageEntry, ResolvedEntry, SavedDevice, Store, StoreError
from hard.records import FilterStep, State, StateMemory

ENTRY = MessageEntry("a", "sensors/a/accel", b"\0\1", 7.0, START, 3, 1, "text/csv")
STEP = FilterStep(START, (0.1, 0.9), (0.3, 1 / 3))
MEMORY = StateMemory(
    State("Sitting", START, 2 / 3),
    START,
    START + 4,
    ("Walking", "Sitting"),
    (STEP, STEP),
    1,
    (("Sitting", 0.5, START),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path, "full")
    store.open()
    yield store
    store.close()


def write(store: Store, group: int, **parts: object) -> None:
    given = {"messages": [], "resolved": [], "saved": [], "forgotten": [], "oldest": 0, **parts}
    store.write(group, **given)  # type: ignore[arg-type]


def test_a_group_is_read_as_it_was_written(store: Store) -> None:
    write(store, 1, messages=[ENTRY], resolved=[ResolvedEntry("a", "a:4000", MEMORY), ResolvedEntry("b", None, None)])
    write(store, 2, messages=[msgspec.structs.replace(ENTRY, content_type=None)])
    assert list(store.messages()) == [(1, ENTRY), (2, msgspec.structs.replace(ENTRY, content_type=None))]
    assert store.resolved() == [(1, ResolvedEntry("a", "a:4000", MEMORY)), (1, ResolvedEntry("b", None, None))]
    assert store.last_group() == 2


def test_a_device_and_its_windows_are_read_as_they_were_saved(store: Store) -> None:
    devices, windows = make_devices(GRID, DEFAULT_FRAME), []
    for second in range(6):
        windows += devices.push(replace(samples(message("a", second)), place="wrist"))[0]
    (state,) = devices.states()
    windows[-1] = replace(windows[-1], problems=("unit", "gaps"), worn=False)
    write(store, 3, saved=[SavedDevice("a", 3, state, windows, MEMORY), SavedDevice("b", 3, None, [])])
    saved, forgotten = sorted(store.devices(), key=lambda row: row.device)
    assert (saved.device, saved.group, forgotten.state) == ("a", 3, None)
    assert saved.state
    assert saved.memory == MEMORY
    assert [w.window_id for w in saved.windows] == [w.window_id for w in windows]
    assert all(window.replayed and window.place == "wrist" for window in saved.windows)
    assert [(w.problems, w.worn) for w in saved.windows[-2:]] == [((), True), (("unit", "gaps"), False)]
    np.testing.assert_array_equal(saved.windows[-1].xyz, windows[-1].xyz)
    again = make_devices(GRID, DEFAULT_FRAME)
    again.restore([saved.state], 0.0, whole=True)
    (expected,), (got,) = (d.push(samples(message("a", 6)))[0] for d in (devices, again))
    assert (got.window_id, got.xyz.tobytes()) == (expected.window_id, expected.xyz.tobytes())


def test_the_log_is_pruned_and_forgotten_devices_are_deleted(store: Store) -> None:
    write(store, 1, messages=[ENTRY], saved=[SavedDevice("a", 1, None, [])])
    write(store, 2, messages=[ENTRY], forgotten=["a"], oldest=2)
    assert [group for group, _ in store.messages()] == [2]
    assert store.devices() == []


def test_a_transaction_that_fails_writes_nothing(store: Store) -> None:
    write(store, 1, messages=[ENTRY])

    def clear_and_fail() -> None:
        with store.transaction():
            store.clear()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        clear_and_fail()
    assert len(list(store.messages())) == 1


def test_facts_about_the_file_are_kept(store: Store) -> None:
    store.describe(starts="1", whole="yes")
    store.describe(starts="2")
    assert store.about() == {"starts": "2", "whole": "yes"}


def test_what_was_written_is_there_after_it_is_flushed_and_opened_again(store: Store, path: Path) -> None:
    write(store, 1, messages=[ENTRY])
    store.flush()
    store.close()
    assert not store.is_open
    with pytest.raises(StoreError, match="is not open"):
        store.last_group()
    store.open()
    assert store.last_group() == 1


def test_another_process_is_kept_out(store: Store, path: Path) -> None:
    with pytest.raises(StoreError, match="in use by another process") as raised:
        Store(path, "normal").open()
    assert not raised.value.unreadable
    assert store.last_group() == 0


def test_a_file_that_is_set_aside_takes_what_was_written_last_with_it(store: Store, path: Path) -> None:
    write(store, 1, messages=[ENTRY])
    aside = store.set_aside()
    store.open()
    assert store.last_group() == 0
    store.close()
    aside.replace(path)
    store.open()
    assert store.last_group() == 1


def test_a_file_that_is_no_database_is_unreadable(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    store = Store(path, "normal")
    with pytest.raises(StoreError) as raised:
        store.open()
    assert raised.value.unreadable
    assert not store.is_open
