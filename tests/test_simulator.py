"""Simulated wearers: seeded, continuous, with true activities, and as strong as the recordings they are fitted to."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from hard.recordings import recordings
from hard.simulator import KEPT_EPISODES, SYNTHESIS_HZ, Wearer, activities, parameters, synthesise

GAITS = ("Walking", "Jogging", "Upstairs", "Downstairs")


def test_the_same_seed_gives_the_same_samples_in_pieces_of_any_size() -> None:
    whole = Wearer(7).take(3000)
    wearer = Wearer(7)
    parts = [wearer.take(n) for n in (1, 49, 50, 900, 2000)]
    np.testing.assert_allclose(np.concatenate([p.xyz for p in parts]), whole.xyz, atol=1e-9)
    np.testing.assert_array_equal(np.concatenate([p.activity for p in parts]), whole.activity)
    assert not np.allclose(Wearer(8).take(100).xyz, whole.xyz[:100])


@pytest.mark.parametrize("rate_hz", [20.0, 50.0, 97.3])
def test_times_are_regular_and_the_motion_is_the_same_at_any_rate(rate_hz: float) -> None:
    motion = Wearer(3, rate_hz, start=1000.0).take(round(60 * rate_hz))
    np.testing.assert_allclose(motion.time, 1000 + np.arange(len(motion.time)) / rate_hz)
    reference = Wearer(3, 50.0, start=1000.0).take(60 * 50 + 10)
    expected = np.column_stack([np.interp(motion.time, reference.time, axis) for axis in reference.xyz.T])
    np.testing.assert_allclose(motion.xyz, expected, atol=1e-6)


def test_the_activity_changes_within_the_dwell_time() -> None:
    motion = Wearer(1, 50.0, dwell_s=(12, 30)).take(50 * 600)
    lengths = [len(list(group)) / 50 for _, group in itertools.groupby(motion.activity)]
    assert all(11.9 <= length <= 30.1 for length in lengths[:-1])
    assert set(motion.activity) == set(activities()) == {*GAITS, "Sitting", "Standing"}


def test_there_is_no_jump_between_activities() -> None:
    motion = Wearer(2, 50.0, among=("Sitting", "Standing")).take(50 * 300)
    assert len(set(motion.activity)) == 2
    assert np.abs(np.diff(motion.xyz, axis=0)).max() < 5


def test_the_activity_of_an_interval_is_known_where_it_is_one() -> None:
    wearer = Wearer(5, 50.0, start=100.0)
    motion = wearer.take(50 * 120)
    change = int(np.flatnonzero(motion.activity[1:] != motion.activity[:-1])[0]) + 1
    at = motion.time[change]
    assert wearer.activity_during(at - 4, at) == motion.activity[change - 1]
    assert wearer.activity_during(at, at + 4) == motion.activity[change]
    assert wearer.activity_during(at - 2, at + 2) is None
    assert wearer.activity_during(90, 94) is None


def test_what_a_wearer_keeps_is_bounded() -> None:
    wearer = Wearer(4, 20.0)
    for _ in range(2000):
        wearer.take(20)
    assert wearer.buffered_samples < 50 * 60
    assert len(wearer.episodes) <= KEPT_EPISODES == 256


def test_one_take_has_no_more_samples_than_episodes_are_kept_for() -> None:
    wearer = Wearer(0, 50.0, dwell_s=(2.4, 2.5))
    assert len(wearer.take(30_000).activity) == 30_000
    for n in (0, 30_001):
        with pytest.raises(ValueError, match="samples at 50 Hz at a time"):
            wearer.take(n)


def test_one_activity_can_be_chosen_and_an_unknown_one_is_refused() -> None:
    assert set(Wearer(0, among=("Jogging",)).take(5000).activity) == {"Jogging"}
    with pytest.raises(ValueError, match="can't simulate Flying; known are"):
        Wearer(0, among=("Flying",))


@pytest.mark.parametrize("name", GAITS)
def test_a_gait_has_the_rhythm_of_its_prototype(name: str) -> None:
    prototype = parameters().prototypes[name][0]
    xyz = synthesise(prototype, 50 * 40, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(xyz - xyz.mean(axis=0), axis=0)) ** 2
    hz = np.fft.rfftfreq(len(xyz), 1 / SYNTHESIS_HZ)
    harmonic = np.round(hz / prototype.stride_hz)
    near = np.abs(hz - harmonic * prototype.stride_hz) < 0.2
    assert power[near & (hz > 0.3)].sum() > 0.5 * power[hz > 0.3].sum()


def test_at_rest_gravity_remains_and_little_moves() -> None:
    for name in ("Sitting", "Standing"):
        for prototype in parameters().prototypes[name]:
            xyz = synthesise(prototype, 1000, np.random.default_rng(0))
            assert np.linalg.norm(xyz.mean(axis=0)) == pytest.approx(9.81, abs=0.5)
            assert xyz.std(axis=0).max() < 2


@pytest.mark.slow
def test_each_activity_moves_as_much_as_in_the_recordings(motionsense: Path) -> None:
    runs, _ = recordings.read(motionsense)
    for name, prototypes in parameters().prototypes.items():
        real = [run.xyz.std(axis=0) for run in runs if run.truth is not None and run.truth[0] == name]
        made = [synthesise(each, 2000, np.random.default_rng(1)).std(axis=0) for each in prototypes]
        if name in GAITS:
            np.testing.assert_allclose(np.median(made, axis=0), np.median(real, axis=0), rtol=0.3, err_msg=name)
        else:
            assert np.median(made) <= np.median(real) < 0.5
