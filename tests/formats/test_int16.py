"""Bare 16-bit counts."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from hard.formats.int16 import read, write
from hard.formats.raw_samples import PayloadError


def test_little_endian_triples() -> None:
    raw = read(struct.pack("<6h", 1, -2, 3, 32767, -32768, 0))
    np.testing.assert_array_equal(raw.xyz, [[1, -2, 3], [32767, -32768, 0]])
    assert raw[1:] == (None, None, None, None, None, None, False)
    assert read(b"").xyz.shape == (0, 3)


@pytest.mark.parametrize("size", [1, 5, 7, 301])
def test_a_part_of_a_sample_is_refused(size: int) -> None:
    with pytest.raises(PayloadError, match="no whole number of samples") as caught:
        read(b"\1" * size)
    assert caught.value.reason == "int16"


def test_what_is_written_is_read_and_clipped() -> None:
    xyz = np.array([[9.8, -1.0, 0.0], [1e9, -1e9, 0.0]])
    np.testing.assert_allclose(read(write(xyz, 0.01)).xyz, [[980, -100, 0], [32767, -32768, 0]])
