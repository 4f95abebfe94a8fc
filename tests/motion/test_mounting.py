"""The mounting learnt from walking: up, forward, gait amplitude, turning and remounting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hard.motion.mounting import (
    LEARNT_WINDOWS,
    REMOUNTED_WINDOWS,
    Frame,
    Mounting,
    walking_cue,
    with_learnt_mounting,
)
from hard.records import Float32Array, Float64Array, Window

RATE_HZ = 20.0
DEFAULT = Frame(np.array([0, 1, 0], np.float32), np.array([0, 0, 1], np.float32), calibrated=False)


def gait(seed: int = 0, step_hz: float = 1.9) -> Float32Array:
    """A walking window (80, 3), y up and z forward: braking follows the upward acceleration by about 0.12 s."""
    rng = np.random.default_rng(seed)
    t = np.arange(80) / RATE_HZ + rng.uniform(0, 1)
    up = 9.81 + 3 * np.sin(2 * np.pi * step_hz * t)
    forward = -2 * np.sin(2 * np.pi * step_hz * (t - 0.12))
    left = 0.8 * np.sin(np.pi * step_hz * t)
    return np.asarray(np.stack([left, up, forward], axis=1) + rng.normal(0, 0.2, (80, 3)), dtype=np.float32)


def still(seed: int = 0) -> Float32Array:
    return np.asarray(np.random.default_rng(seed).normal([0, 0, 9.81], 0.05, (80, 3)), dtype=np.float32)


def turn(seed: int) -> Float64Array:
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return np.asarray(matrix * np.linalg.det(matrix))


def window(xyz: Float32Array, i: int = 0) -> Window:
    return Window("d", float(i), i + 4.0, xyz, 1.0, DEFAULT.up, DEFAULT.forward, False, 0.0, 0.0, 0.0)


def learnt(windows: list[Float32Array]) -> Mounting:
    mounting = Mounting(DEFAULT, RATE_HZ)
    for xyz in windows:
        mounting.learn(xyz)
    return mounting


def test_only_steady_steps_give_a_cue() -> None:
    assert walking_cue(gait(), RATE_HZ) is not None
    rng = np.random.default_rng(0)
    noise = rng.normal([0, 9.81, 0], 3, (80, 3)).astype(np.float32)
    for xyz in (still(), np.zeros((80, 3), np.float32), noise, gait() * 0.4, gait() * 3):
        assert walking_cue(np.asarray(xyz, np.float32), RATE_HZ) is None


def test_the_default_mounting_holds_until_enough_windows_show_walking() -> None:
    mounting = learnt([still(i) for i in range(30)] + [gait(i) for i in range(LEARNT_WINDOWS - 1)])
    assert mounting.frame is DEFAULT
    mounting.learn(gait(99))
    assert mounting.frame.calibrated


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_a_device_in_any_orientation_learns_its_mounting(seed: int) -> None:
    matrix = turn(seed)
    frame = learnt([np.asarray(gait(i) @ matrix, np.float32) for i in range(20)]).frame
    assert frame.up @ (np.array([0, 1, 0]) @ matrix) > 0.99
    assert frame.forward @ (np.array([0, 0, 1]) @ matrix) > 0.97
    assert frame.up @ frame.forward == pytest.approx(0, abs=1e-5)
    assert np.linalg.norm(frame.up) == pytest.approx(1, abs=1e-5)


def test_a_restored_mounting_learns_as_if_it_had_never_stopped() -> None:
    whole = learnt([gait(i) for i in range(40)])
    again = Mounting(DEFAULT, RATE_HZ)
    again.restore(learnt([gait(i) for i in range(20)]).state())
    for i in range(20, 40):
        again.learn(gait(i))
    assert again.state() == whole.state()
    np.testing.assert_array_equal(again.frame.forward, whole.frame.forward)


def test_a_mounting_restored_before_it_was_learnt_keeps_the_default() -> None:
    fresh = Mounting(DEFAULT, RATE_HZ)
    fresh.restore(learnt([gait(i) for i in range(LEARNT_WINDOWS - 1)]).state())
    assert fresh.frame is DEFAULT
    fresh.learn(gait(99))
    assert fresh.frame.calibrated


def test_windows_without_walking_change_no_direction() -> None:
    walks = [gait(i) for i in range(20)]
    mixed = [xyz for i, walk in enumerate(walks) for xyz in (walk, still(i), still(-i - 1 + 10_000))]
    np.testing.assert_array_equal(learnt(walks).frame.up, learnt(mixed).frame.up)


def test_a_few_inconsistent_windows_are_not_a_new_mounting() -> None:
    mounting = learnt([gait(i) for i in range(30)])
    before = mounting.frame
    over = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    for i in range(REMOUNTED_WINDOWS - 1):
        assert mounting.learn(np.asarray(gait(i) @ over, np.float32)) == 0
    np.testing.assert_array_equal(mounting.frame.up, before.up)


def test_a_device_turned_upside_down_is_learnt_anew_and_the_change_is_dated() -> None:
    mounting = learnt([gait(i) for i in range(60)])
    over = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    windows_ago = []
    for i in range(40):
        if i % 2:
            mounting.learn(still(i))
        windows_ago.append(mounting.learn(np.asarray(gait(100 + i) @ over, np.float32)))
    assert [ago for ago in windows_ago if ago] == [REMOUNTED_WINDOWS + (REMOUNTED_WINDOWS - 1) // 2 + 1]
    assert mounting.frame.up @ np.array([0, -1, 0]) > 0.99
    assert mounting.frame.forward @ np.array([0, 0, 1]) > 0.97


def test_a_second_pass_gives_each_window_the_mounting_of_its_time() -> None:
    over = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    windows = [window(still(0))] + [window(gait(i), i) for i in range(50)]
    windows += [window(np.asarray(gait(i) @ over, np.float32), i) for i in range(50, 100)]
    found = with_learnt_mounting(windows, DEFAULT, RATE_HZ)
    assert len(found) == 101
    assert all(w.calibrated for w in found)
    assert [bool(w.up[1] > 0) for w in found] == [True] * 51 + [False] * 50


def test_without_walking_a_second_pass_keeps_the_default_mounting() -> None:
    found = with_learnt_mounting([window(still(i), i) for i in range(30)], DEFAULT, RATE_HZ)
    assert not any(w.calibrated for w in found)
    assert found[0].up is DEFAULT.up


def test_a_recording_in_any_orientation_gets_the_same_labels(motionsense: Path) -> None:
    """Where the mounting is known, that is after a first pass, only rounding differs."""
    from hard.commands.label import label
    from hard.model.classifier import load
    from hard.recordings.recordings import Recording, read

    classifier = load()
    runs = [run for run in read(motionsense)[0] if run.subject == "3"]
    matrix = turn(5)
    turned = [Recording(run.subject, run.time, run.xyz @ matrix, run.truth) for run in runs]
    plain, other = ([p.label for _, p in label(classifier, each, 1.0, streaming=False)] for each in (runs, turned))
    assert len(plain) == len(other)
    assert np.mean(np.array(plain) == np.array(other)) > 0.995
