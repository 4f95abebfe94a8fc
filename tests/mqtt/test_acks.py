"""Acknowledgements in order."""

from __future__ import annotations

from hard.mqtt.acks import Acks


def test_acknowledgements_go_out_in_the_order_of_arrival() -> None:
    out: list[int] = []
    acks = Acks(out.append)
    for mid in (1, 2, 3):
        acks.received(mid)
    acks.acknowledge(2, 0)
    assert out == []
    acks.acknowledge(1, 0)
    assert out == [1, 2]
    acks.acknowledge(3, 0)
    assert out == [1, 2, 3]


def test_an_acknowledgement_for_an_earlier_connection_is_dropped() -> None:
    out: list[int] = []
    acks = Acks(out.append)
    acks.received(1)
    acks.reset()
    acks.received(1)
    acks.acknowledge(1, 0)
    assert out == []
    acks.acknowledge(1, 1)
    assert out == [1]
