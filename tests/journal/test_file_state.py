"""The states of the journal's file."""

from __future__ import annotations

import pytest

from hard.journal.file_state import FileState, Phase

READING = FileState.initial("journal")


def test_without_durability_no_file_is_used() -> None:
    assert FileState.initial("none") == FileState(Phase.OFF)


@pytest.mark.parametrize("durability", ["journal", "snapshot"])
def test_at_first_the_file_is_unread_and_is_not_rewritten(durability: str) -> None:
    state = FileState.initial(durability)
    assert (state.phase, state.unread) == (Phase.READING, True)
    assert not state.must_be_rewritten(1e9)


def test_a_file_that_was_read_is_ready_or_outdated() -> None:
    assert READING.read(outdated=False) == FileState(Phase.READY)
    outdated = READING.read(outdated=True, problem="other settings")
    assert outdated == FileState(Phase.OUTDATED, "other settings")
    assert outdated.must_be_rewritten(0.0)
    assert outdated.written() == FileState(Phase.READY, "other settings"), "what was given up stays a problem"


def test_a_suspended_file_is_tried_again_later_and_then_all_is_well() -> None:
    state = FileState(Phase.READY).suspended("disk is full", retry_at=60.0)
    assert [state.must_be_rewritten(now) for now in (59.9, 60.0)] == [False, True]
    assert state.written() == FileState(Phase.READY)


def test_a_file_that_could_not_be_read_stays_unread_until_it_is_read_or_set_aside() -> None:
    state = READING.suspended("in use", retry_at=60.0).suspended("in use", retry_at=120.0)
    assert state.unread
    read = state.read(outdated=False)
    assert (read.phase, read.unread, read.problem) == (Phase.SUSPENDED, False, "in use")
    assert state.set_aside("kept as x") == FileState(Phase.OUTDATED, "kept as x")
