"""The load generator's messages close as many windows as it expects."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.generator import Motions, Order
from support.decoder import decoder as make_decoder

from hard.model import bundle
from hard.recordings.default_rules import bundle_devices
from hard.records import Message


@pytest.mark.parametrize(
    ("order", "turns"),
    [({}, 7), ({"samples": 1}, 45), ({"samples": 40}, 3), ({"format": "csv"}, 7), ({"hop_s": 4.0}, 12)],
)
def test_devices_close_as_many_windows_as_the_generator_expects(order: dict[str, Any], turns: int) -> None:
    motions = Motions(Order(port=0, devices=2, messages_s=1, seconds=1, **order))
    decoder = make_decoder(format=order.get("format", "json"))
    devices = bundle_devices(bundle.read(), order.get("hop_s"))
    closed = 0
    for turn in range(-1, turns):
        payload = motions.first(1) if turn < 0 else motions.next(1, turn)
        windows, delta = devices.push(decoder.decode(Message("sensors/d1/accel", payload, 0.0, 0.0)))
        assert delta.accepted == delta.decoded > 0
        closed += len(windows)
        assert closed == motions.windows(turn + 1)
    assert closed > 0
