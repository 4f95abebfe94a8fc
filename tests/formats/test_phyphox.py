"""Messages of the app phyphox."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hard.formats.phyphox import read
from hard.formats.raw_samples import PayloadError

START = {"event": "START", "experimentTime": 0.0, "systemTime": 1.7e9}


def raw(**buffers: Any) -> Any:
    return read(json.dumps(buffers).encode())


def test_buffers_have_the_experiments_names_and_times_since_its_start() -> None:
    for names in (("accX", "accY", "accZ", "acc_time"), ("x", "y", "z", "t"), ("acc_x", "acc_y", "acc_z", "acc_t")):
        columns = dict(zip(names, ([1, 4], [2, 5], [3, 6], [0.5, 0.52]), strict=True))
        found = raw(**columns, time={"now": 1.0, "events": [START]})
        np.testing.assert_array_equal(found.xyz, [[1, 2, 3], [4, 5, 6]])
        np.testing.assert_allclose(found.time, [1.7e9 + 0.5, 1.7e9 + 0.52])
        assert (found.time_unit, found.uptime) == ("s", False)


def test_after_a_pause_the_last_start_counts() -> None:
    again = {"event": "START", "experimentTime": 10.0, "systemTime": 1.7e9 + 100}
    found = raw(x=[1], y=[2], z=[3], t=[12.0], time={"events": [START, {"event": "PAUSE"}, again]})
    np.testing.assert_array_equal(found.time, [1.7e9 + 102])


@pytest.mark.parametrize("time", [None, {}, {"events": []}, {"events": [{"event": "START"}]}, {"events": 5}])
def test_without_a_start_times_are_an_uptime(time: Any) -> None:
    found = raw(x=[1], y=[2], z=[3], t=[12.0], time=time)
    np.testing.assert_array_equal(found.time, [12])
    assert found.uptime


def test_without_times_the_arrival_counts() -> None:
    assert raw(x=[1], y=[2], z=[3]).time is None


def test_null_is_nan_and_a_buffer_that_grew_is_cut() -> None:
    found = raw(x=[1, None, 3], y=[1, 2, 3], z=[1, 2, 3], t=[0.1, 0.2])
    np.testing.assert_array_equal(np.isfinite(found.xyz).all(axis=1), [True, False])


@pytest.mark.parametrize(
    ("buffers", "reason"),
    [({"linX": [1], "linY": [1], "linZ": [1]}, "no_gravity"), ({"lin_accX": [1]}, "no_gravity"), ({}, "fields"),
     ({"x": 1, "y": 2, "z": 3}, "fields"), ({"x": [1], "y": [2]}, "fields")],
)  # fmt: skip
def test_other_buffers_are_refused(buffers: Any, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        raw(**buffers)
    assert caught.value.reason == reason
