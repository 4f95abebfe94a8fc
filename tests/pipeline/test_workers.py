"""Threads that take turns."""

from __future__ import annotations

from threading import Thread

import pytest
from support.listener import eventually

from hard.pipeline.workers import FairLock


def test_who_waits_comes_before_who_was_just_there() -> None:
    turns, order = FairLock(), list[str]()

    def other() -> None:
        with turns:
            order.append("other")

    thread = Thread(target=other)
    with turns:
        thread.start()
        eventually(turns._next.locked)  # it waits
        order.append("first")
    with turns:
        order.append("again")
    thread.join(10)
    assert order == ["first", "other", "again"]


def test_a_turn_ends_with_an_error_too() -> None:
    turns = FairLock()
    with pytest.raises(ValueError, match="no"), turns:
        raise ValueError("no")
    with turns:
        pass
