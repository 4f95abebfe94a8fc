"""The mounting learnt from walking: up, forward, evidence, turning and remounting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hard.motion.mounting import EVIDENCE, REMOUNTED, Frame, Mounting, settle, walking
from hard.records import Float32Array, Float64Array, Window

RATE_HZ = 20.0
USUAL = Frame(np.array([0, 1, 0], np.float32), np.array([0, 0, 1], np.float32), calibrated=False)


def gait(seed: int = 0, step_hz: float = 1.9) -> Float32Array:
    """A walking window (80, 3), y up and z forward: the braking push follows the one upwards by about 0.12 s."""
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
    return Window("d", float(i), i + 4.0, xyz, 1.0, USUAL.up, USUAL.forward, False, 0.0, 0.0, 0.0)


def learnt(windows: list[Float32Array]) -> Mounting:
    mounting = Mounting(USUAL, RATE_HZ)
    for xyz in windows:
        mounting.learn(xyz)
    return mounting


def test_only_steady_steps_say_anything() -> None:
    assert walking(gait(), RATE_HZ) is not None
    rng = np.random.default_rng(0)
    noise = rng.normal([0, 9.81, 0], 3, (80, 3)).astype(np.float32)
    for xyz in (still(), np.zeros((80, 3), np.float32), noise, gait() * 0.4, gait() * 3):
        assert walking(np.asarray(xyz, np.float32), RATE_HZ) is None


def test_the_usual_mounting_holds_until_there_is_evidence() -> None:
    mounting = learnt([still(i) for i in range(30)] + [gait(i) for i in range(EVIDENCE - 1)])
    assert mounting.frame is USUAL
    mounting.learn(gait(99))
    assert mounting.frame.calibrated


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_a_device_turned_anyhow_learns_its_turned_mounting(seed: int) -> None:
    matrix = turn(seed)
    frame = learnt([np.asarray(gait(i) @ matrix, np.float32) for i in range(20)]).frame
    assert frame.up @ (np.array([0, 1, 0]) @ matrix) > 0.99
    assert frame.forward @ (np.array([0, 0, 1]) @ matrix) > 0.97
    assert frame.up @ frame.forward == pytest.approx(0, abs=1e-5)
    assert np.linalg.norm(frame.up) == pytest.approx(1, abs=1e-5)


def test_the_gait_amplitude_is_that_of_all_walking_and_outlives_a_remounting() -> None:
    said = [walking(gait(i), RATE_HZ) for i in range(200)]
    deviation = [np.std(gait(i)[:, 1]) for i in range(200)]
    assert np.exp([step.log_gait_amplitude for step in said if step]) == pytest.approx(deviation, rel=0.02)
    turned = [np.asarray(gait(i) @ turn(3), np.float32) for i in range(100, 200)]
    walks = [gait(i) for i in range(100)]
    frame = learnt(walks + turned).frame
    assert frame.up @ learnt(walks).frame.up < 0.8
    assert frame.gait_amplitude_ms2 == pytest.approx(np.exp(np.mean(np.log(deviation))), rel=0.02)
    assert {
        w.gait_amplitude_ms2 for w in settle([window(xyz, i) for i, xyz in enumerate(walks + turned)], USUAL, RATE_HZ)
    } == {frame.gait_amplitude_ms2}


def test_the_state_goes_on_where_it_was_and_another_version_s_is_left_alone() -> None:
    whole = learnt([gait(i) for i in range(40)])
    again = Mounting(USUAL, RATE_HZ)
    again.restore(learnt([gait(i) for i in range(20)]).state())
    for i in range(20, 40):
        again.learn(gait(i))
    np.testing.assert_allclose(again.state(), whole.state())
    fresh = Mounting(USUAL, RATE_HZ)
    fresh.restore(whole.state()[:21])
    assert fresh.frame is USUAL


def test_sitting_in_between_changes_nothing() -> None:
    walks = [gait(i) for i in range(20)]
    mixed = [xyz for i, walk in enumerate(walks) for xyz in (walk, still(i), still(-i - 1 + 10_000))]
    np.testing.assert_array_equal(learnt(walks).frame.up, learnt(mixed).frame.up)


def test_a_few_windows_astray_are_not_another_mounting() -> None:
    mounting = learnt([gait(i) for i in range(30)])
    before = mounting.frame
    over = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    for i in range(REMOUNTED - 1):
        assert mounting.learn(np.asarray(gait(i) @ over, np.float32)) == 0
    np.testing.assert_array_equal(mounting.frame.up, before.up)


def test_turned_upside_down_it_is_learnt_anew_and_told_since_when() -> None:
    mounting = learnt([gait(i) for i in range(60)])
    over = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    told = []
    for i in range(40):
        if i % 2:
            mounting.learn(still(i))
        told.append(mounting.learn(np.asarray(gait(100 + i) @ over, np.float32)))
    assert [ago for ago in told if ago] == [REMOUNTED + (REMOUNTED - 1) // 2 + 1]
    assert mounting.frame.up @ np.array([0, -1, 0]) > 0.99
    assert mounting.frame.forward @ np.array([0, 0, 1]) > 0.97


def test_a_second_pass_gives_each_window_the_mounting_of_its_time() -> None:
    over = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    windows = [window(still(0))] + [window(gait(i), i) for i in range(50)]
    windows += [window(np.asarray(gait(i) @ over, np.float32), i) for i in range(50, 100)]
    found = settle(windows, USUAL, RATE_HZ)
    assert len(found) == 101
    assert all(w.calibrated for w in found)
    assert [bool(w.up[1] > 0) for w in found] == [True] * 51 + [False] * 50


def test_without_a_step_a_second_pass_leaves_the_usual_mounting() -> None:
    found = settle([window(still(i), i) for i in range(30)], USUAL, RATE_HZ)
    assert not any(w.calibrated for w in found)
    assert found[0].up is USUAL.up


def test_a_recording_turned_anyhow_gets_the_same_labels(motionsense: Path) -> None:
    """Where the mounting is known, that is after a first pass, only rounding can tell the two apart."""
    from hard.commands.label import label
    from hard.model.classifier import load
    from hard.recordings.recordings import Recording, read

    classifier = load()
    runs = [run for run in read(motionsense)[0] if run.subject == "3"]
    matrix = turn(5)
    turned = [Recording(run.subject, run.time, run.xyz @ matrix, run.truth) for run in runs]
    plain, other = ([p.label for p, _ in label(classifier, each)] for each in (runs, turned))
    assert len(plain) == len(other)
    assert np.mean(np.array(plain) == np.array(other)) > 0.995
