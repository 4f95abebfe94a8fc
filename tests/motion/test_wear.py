"""Wear: a table against the least that a person moves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.motion import make_devices, make_grid

from hard.motion.mounting import Frame
from hard.motion.wear import LOOKED_AT_S, Wear
from hard.records import Float64Array, Samples, Window
from hard.units import G_MS2

FRAME = Frame(np.array([0, 1, 0], np.float32), np.array([0, 0, 1], np.float32), calibrated=False)
MG = G_MS2 / 1000


def windows(xyz: Float64Array, rate_hz: float) -> Iterator[Window]:
    """What devices make of one device's samples (N, 3), a message a second."""
    devices, n = make_devices(make_grid(), FRAME), round(rate_hz)
    for begin in range(0, len(xyz) - n + 1, n):
        at = begin / rate_hz
        time = 1e9 + at + np.arange(n) / rate_hz
        yield from devices.push(Samples("a", time, xyz[begin : begin + n], at + 1, 1e9 + at + 1))[0]


def table(rate_hz: float, noise: float, step: float, seconds: int = 300, seed: int = 0) -> Float64Array:
    """A device on a table that cools down a little: white noise, in steps of `step` m/s²."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    drift = np.sin(np.linspace(0, 2, n))[:, None] * rng.normal(0, 0.03, 3)
    xyz = rng.normal(0, 5, 3) + drift + rng.normal(0, noise, (n, 3))
    return np.asarray(np.round(xyz / step) * step if step else xyz)


def person(rate_hz: float, breath: float, burst: float, seconds: int = 120) -> Float64Array:
    """A person who sits still: breath of 0.25 Hz tilts the device, and a small movement comes now and then."""
    rng = np.random.default_rng(1)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    xyz = np.array([0.0, 9.2, 3.3]) + rng.normal(0, 0.02, (len(t), 3))
    xyz[:, 2] += breath * np.sin(2 * np.pi * 0.25 * t)
    xyz += burst * np.exp(-(((t % 17) - 8) ** 2) * 20)[:, None]
    return np.asarray(xyz)


@pytest.mark.parametrize("rate_hz", [20.0, 50.0, 100.0])
@pytest.mark.parametrize("noise", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("step", [0.0, 4 * MG, 15 * MG])
def test_a_device_on_a_table_is_not_worn_after_the_first_minute(rate_hz: float, noise: float, step: float) -> None:
    worn = [window.worn for window in windows(table(rate_hz, noise, step), rate_hz) if window.end > 1e9 + 60]
    assert np.mean(worn) <= 0.1


@pytest.mark.parametrize(("breath", "burst"), [(0.03, 0.0), (0.1, 0.05), (0.0, 0.3)])
def test_a_person_who_sits_still_wears_it(breath: float, burst: float) -> None:
    assert all(window.worn for window in windows(person(50.0, breath, burst), 50.0))


def test_a_movement_ends_it_at_once_and_a_minute_of_stillness_begins_it_again() -> None:
    xyz = table(20.0, 0.02, 0.0, seconds=200)
    xyz[2000:2010] += 3.0
    worn = {round(window.start - 1e9): window.worn for window in windows(xyz, 20.0)}
    assert not worn[90]
    assert worn[100]
    assert worn[110]
    assert not worn[190]


def test_a_gap_begins_anew_and_windows_that_overlap_add_nothing() -> None:
    wear, still = Wear(20.0), np.full((80, 3), 5.6, np.float32)
    rng = np.random.default_rng(0)
    for second in range(2 * round(LOOKED_AT_S)):
        wear.look(second, second + 4, still + rng.normal(0, 0.02, (80, 3)).astype(np.float32))
    assert not wear.worn
    wear.look(1000, 1004, still)
    assert wear.worn


def test_windows_too_short_for_a_second_are_never_judged() -> None:
    wear = Wear(3.0)
    for second in range(200):
        wear.look(second, second + 1, np.ones((3, 3), np.float32))
    assert wear.worn
