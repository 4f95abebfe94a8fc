"""CSV lines → raw samples."""

from __future__ import annotations

import numpy as np
import pytest

from hard.formats.csv_lines import read, write
from hard.formats.raw_samples import PayloadError


def test_each_line_is_a_time_and_three_accelerations() -> None:
    raw = read(b"100.5,1,2,3\r\n101, 4,5,6\n\n")
    assert raw.time is not None
    np.testing.assert_array_equal(raw.time, [100.5, 101])
    np.testing.assert_array_equal(raw.xyz, [[1, 2, 3], [4, 5, 6]])
    assert (raw.t0, raw.rate_hz) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "t,x,y,z\r\n100,1,2,3\r\n101,4,5,6\r\n",
        "\ufefft,x,y,z\n100,1,2,3\n101,4,5,6",
        "100,1,2,3,\n101,4,5,6,\n",
        "t,x,y,z,\n100,1,2,3,\n101,4,5,6,",
        "x,y,z,t\n1,2,3,100\n4,5,6,101\n",
        "n,Time (s),acc_x,acc_y,acc_z,battery\n0,100,1,2,3,90\n1,101,4,5,6,90\n",
        '"timestamp","Acceleration x (m/s^2)","Acceleration y (m/s^2)","Acceleration z (m/s^2)"\n100,1,2,3\n101,4,5,6',
        "# from a belt\n100,1,2,3\n# more\n101,4,5,6\n",
        "100;1,0;2,0;3,0\n101;4;5;6\n",
        "100\t1\t2\t3\n101\t4\t5\t6\n",
        "100,1,2,3\n101,4,5,6\n\0",
    ],
)
def test_headers_marks_and_other_separators_are_read(text: str) -> None:
    raw = read(text.encode())
    assert raw.time is not None
    np.testing.assert_array_equal(raw.time, [100, 101])
    np.testing.assert_array_equal(raw.xyz, [[1, 2, 3], [4, 5, 6]])


def test_a_header_without_a_time_leaves_the_times_out() -> None:
    raw = read(b"x,y,z\n1,2,3\n")
    assert raw.time is None
    np.testing.assert_array_equal(raw.xyz, [[1, 2, 3]])


def test_times_may_be_iso_8601() -> None:
    raw = read(b"2023-11-14T22:13:20Z,1,2,3\n2023-11-14T22:13:20.5Z,1,2,3\n")
    assert raw.time is not None
    np.testing.assert_array_equal(raw.time, [1.7e9, 1.7e9 + 0.5])
    assert raw.time_unit == "s"


def test_a_line_that_cannot_be_read_is_nan_and_costs_no_other() -> None:
    raw = read("100,1,2,3\n101,4,oops,6\n102,7\n103,,1,2\n104,1,2,3,4\né\n105,1,2,3\n".encode())
    good = np.isfinite(raw.xyz).all(axis=1)
    np.testing.assert_array_equal(good, [True, False, False, False, False, False, True])


def test_no_line_is_no_sample() -> None:
    assert read(b" \n\n").xyz.shape == (0, 3)
    assert read(b"t,x,y,z\n").xyz.shape == (0, 3)


@pytest.mark.parametrize("text", ["a,b,c,d", "1,2,3", "100,1,2,3,4", "100,1,2,", "é", "x,y\n1,2", "{}"])
def test_other_lines_are_refused(text: str) -> None:
    with pytest.raises(PayloadError, match=r"no line of t,x,y,z") as caught:
        read(text.encode())
    assert caught.value.reason == "csv"


def test_what_is_written_is_read() -> None:
    time, xyz = 1.8e9 + np.arange(9) / 50, np.random.default_rng(0).normal(0, 9, (9, 3))
    found = read(write(time, xyz))
    np.testing.assert_allclose(found.time, time, rtol=0, atol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.xyz, xyz, atol=1e-5)
