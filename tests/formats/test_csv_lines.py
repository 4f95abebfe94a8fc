"""CSV lines → raw samples."""

from __future__ import annotations

import numpy as np
import pytest

from hard.formats.csv_lines import read
from hard.formats.raw_samples import PayloadError


def test_each_line_is_a_time_and_three_accelerations() -> None:
    raw = read(b"100.5,1,2,3\r\n101, 4,5,6\n\n")
    assert raw.time is not None
    np.testing.assert_array_equal(raw.time, [100.5, 101])
    np.testing.assert_array_equal(raw.xyz, [[1, 2, 3], [4, 5, 6]])
    assert (raw.t0, raw.rate_hz) == (None, None)


def test_no_line_is_no_sample() -> None:
    assert read(b" \n\n").xyz.shape == (0, 3)


@pytest.mark.parametrize("text", ["a,b,c,d", "1,2,3", "100,1,2,3,4", "100,1,2,", "é"])
def test_other_lines_are_refused(text: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read(text.encode())
    assert caught.value.reason == "csv"
