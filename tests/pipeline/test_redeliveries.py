"""Messages that the broker sends again."""

from __future__ import annotations

from dataclasses import replace

from hard.pipeline.redeliveries import MAX_PACKET_IDS, Redeliveries
from hard.records import Message

MESSAGE = Message("sensors/a/accel", b"1", 0.0, 0.0, mid=7, qos=1)


def test_only_a_message_that_is_marked_and_the_same_is_a_redelivery() -> None:
    redeliveries = Redeliveries()
    again = replace(MESSAGE, dup=True)
    assert not redeliveries.seen(again), "an earlier process may have taken it, and it may not"
    assert redeliveries.seen(again)
    assert not redeliveries.seen(MESSAGE), "the id is used anew"
    assert not redeliveries.seen(replace(again, payload=b"2"))
    assert not redeliveries.seen(replace(again, topic="sensors/b/accel"))
    assert not redeliveries.seen(replace(again, qos=0))


def test_its_memory_is_bounded() -> None:
    redeliveries = Redeliveries()
    for mid in range(MAX_PACKET_IDS + 1):
        redeliveries.seen(replace(MESSAGE, mid=mid))
    assert redeliveries.seen(replace(MESSAGE, mid=MAX_PACKET_IDS, dup=True))
    assert redeliveries.seen(replace(MESSAGE, mid=1, dup=True))
    assert not redeliveries.seen(replace(MESSAGE, mid=0, dup=True))
