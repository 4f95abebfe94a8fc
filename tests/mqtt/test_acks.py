"""Acknowledgements in order."""

from __future__ import annotations

from hard.mqtt.acks import Acks


def test_acknowledgements_go_out_in_the_order_of_arrival() -> None:
    out: list[int] = []
    receipts = Acks(out.append)
    for mid in (1, 2, 3):
        receipts.came(mid)
    receipts.done(2, 0)
    assert out == []
    receipts.done(1, 0)
    assert out == [1, 2]
    receipts.done(3, 0)
    assert out == [1, 2, 3]


def test_an_acknowledgement_for_an_earlier_connection_is_dropped() -> None:
    out: list[int] = []
    receipts = Acks(out.append)
    receipts.came(1)
    receipts.reset()
    receipts.came(1)
    receipts.done(1, 0)
    assert out == []
    receipts.done(1, 1)
    assert out == [1]
