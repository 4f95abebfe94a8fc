"""MessagePack in HARD's own shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from hard.formats.messagepack import read
from hard.formats.raw_samples import PayloadError

T = 1_700_000_000.0


def packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def test_all_shapes_are_read_and_a_bad_sample_is_nan() -> None:
    batch = read(packed({"t0": T, "rate": 50, "xyz": [[1, 2, 3], [4, 5, 6]]}))
    assert (batch.t0, batch.rate_hz) == (T, 50.0)
    np.testing.assert_array_equal(batch.xyz, [[1, 2, 3], [4, 5, 6]])
    loose = read(packed([{"t": datetime.fromtimestamp(T, UTC), "x": 1, "y": 2, "z": None}]))
    assert loose.time_unit == "s"
    np.testing.assert_array_equal(loose.time, [T])
    assert np.isnan(loose.xyz).any()


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x92\x01", b"\x91" * 5000, packed({}) + b"x"])
def test_other_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError) as caught:
        read(payload)
    assert caught.value.reason == "msgpack"
