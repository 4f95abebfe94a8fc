"""Other lives of a device hold what its recordings hold, in another order, from another sensor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from training.data import augment

from hard.recordings.recordings import Recording

TRUTHS = "Walking", "Sitting", "Standing"


def recorded(seconds: float = 300.0, rate_hz: float = 50.0, *, device: str = "1") -> list[Recording]:
    """A run of each of TRUTHS: gravity and a step of 2 Hz."""
    time = np.arange(0, seconds, 1 / rate_hz)
    xyz = np.stack((0 * time, 9.81 + np.sin(2 * np.pi * 2.0 * time), 0 * time), axis=1)
    return [Recording(device, time + 1000 * i, xyz, np.full(len(time), truth)) for i, truth in enumerate(TRUTHS)]


def lives(runs: list[Recording], seed: int) -> list[list[Recording]]:
    return list(augment.lives(runs, np.random.default_rng(seed)))


@given(seed=st.integers(0, 100))
def test_rotations_are_rotations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(5, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    turns = augment.rotations(axes, rng.uniform(-3, 3, 5))
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-12)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", turns, axes), axes, atol=1e-12)


def test_a_piece_has_one_truth_and_a_life_one_device_whose_clock_rises() -> None:
    runs = [*recorded(), *recorded(device="2")]
    mixed = replace(runs[0], truth=np.where(runs[0].time < 30, "Walking", "Running"))
    for life in lives([mixed, *runs[1:]], 0):
        assert len({piece.device for piece in life}) == 1
        for piece, after in zip(life, [*life[1:], None], strict=True):
            assert piece.truth is not None
            assert len(set(piece.truth.tolist())) == 1
            assert (np.diff(piece.time) > 0).all()
            assert after is None or after.time[0] - piece.time[-1] > 30


def test_lives_differ_in_order_and_some_lack_activities() -> None:
    orders = [[str(piece.truth[0]) for life in lives(recorded(), seed) for piece in life] for seed in range(20)]  # type: ignore[index]
    assert len({tuple(order) for order in orders}) > 10
    assert {len(set(order)) for order in orders} == {1, 2, 3}
    assert lives(recorded(), 3)[0][0].xyz.tolist() == lives(recorded(), 3)[0][0].xyz.tolist()


def test_kept_activities_keep_their_length() -> None:
    seconds = []
    for seed in range(10):
        sitting = [piece for life in lives(recorded(), seed) for piece in life if "Sitting" in piece.truth]  # type: ignore[operator]
        seconds.append(sum(float(piece.time[-1] - piece.time[0]) for piece in sitting))
    tempo = np.exp(augment.TEMPO)
    assert all(not s or 290 / tempo < s < 301 * tempo for s in seconds)


def test_gravity_and_rhythm_stay_within_what_is_said() -> None:
    pieces = [piece for seed in range(30) for life in lives(recorded(120.0), seed) for piece in life]
    lengths = [np.linalg.norm(piece.xyz.mean(axis=0)) for piece in pieces]
    assert 9 < min(lengths) < 9.6
    assert 10 < max(lengths) < 10.7
    rates = {round(1 / float(np.median(np.diff(piece.time)))) for piece in pieces}
    assert min(rates) < 20
    assert max(rates) > 45
    tilts = [np.degrees(np.arccos(p.xyz.mean(axis=0)[1] / n)) for p, n in zip(pieces, lengths, strict=True)]
    assert 3 < np.mean(tilts) < 12


def test_a_device_that_polls_has_the_newest_sample_at_each_tick() -> None:
    run = recorded(10.0)[0]
    slow = augment.polled(run, 12.5)
    np.testing.assert_allclose(np.diff(slow.time), 0.08)
    assert all(any((row == sample).all() for sample in run.xyz) for row in slow.xyz[:20])
    assert (augment.slowed(run, 12.5).time == slow.time).all()
    assert augment.slowed(run, 49.0) is run
