"""Messages that the broker sends again."""

from __future__ import annotations

from dataclasses import replace

from hard.pipeline import redeliveries as room
from hard.pipeline.redeliveries import Redeliveries
from hard.records import Message

MESSAGE = Message("sensors/a/accel", b"1", 0.0, 0.0, mid=7, qos=1)


def test_only_what_is_marked_and_the_same_is_a_repeat() -> None:
    repeats = Redeliveries()
    again = replace(MESSAGE, again=True)
    assert not repeats.seen(again), "an earlier process may have taken it, and it may not"
    assert repeats.seen(again)
    assert not repeats.seen(MESSAGE), "the id is used anew"
    assert not repeats.seen(replace(again, payload=b"2"))
    assert not repeats.seen(replace(again, topic="sensors/b/accel"))
    assert not repeats.seen(replace(again, qos=0))


def test_its_memory_is_bounded() -> None:
    repeats = Redeliveries()
    for mid in range(room.MOST + 100):
        repeats.seen(replace(MESSAGE, mid=mid))
    assert len(repeats._last) == room.MOST
