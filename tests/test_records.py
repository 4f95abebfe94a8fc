"""The records: what is computed from their fields."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from hard.records import CounterDelta, Window


def window(device: str, end: float) -> Window:
    up = np.array([0, 1, 0], np.float32)
    return Window(device, end - 4, end, np.zeros((80, 3), np.float32), 1.0, up, up, False, 0.0, 0.0, 0.0)


def test_a_window_s_id_is_its_device_and_its_end_in_ms() -> None:
    assert window("kitchen:3", 1_700_000_000.1234).window_id == "kitchen:3:1700000000123"


def test_deltas_add_field_by_field() -> None:
    total = CounterDelta(decoded=20, accepted=18, late=2) + CounterDelta(decoded=5, held=5)
    assert total == CounterDelta(decoded=25, accepted=18, late=2, held=5)
    assert total + CounterDelta() == total


def test_records_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        CounterDelta().decoded = 1  # type: ignore[misc]
