"""Augmented windows are still windows of the same motion."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from training.data import augment


@given(seed=st.integers(0, 100))
def test_rotations_are_rotations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(5, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    turns = augment.rotations(axes, rng.uniform(-3, 3, 5))
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-12)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", turns, axes), axes, atol=1e-12)


def test_gravity_keeps_its_size_within_the_gain() -> None:
    points = augment.stretch_points(80)
    still = np.tile(np.float32([0, 9.81, 0]), (200, points, 1))
    made = augment.augment(still, 80, np.random.default_rng(0))
    assert made.shape == (200, 80, 3)
    assert made.dtype == np.float32
    gravity = made.mean(axis=1)  # noise and coarse steps leave less than 2 % in the mean
    length = np.linalg.norm(gravity, axis=1)
    assert (np.abs(np.log(length / 9.81)) <= augment.GAIN + 0.02).all()
    tilt = np.degrees(np.arccos(np.clip(gravity[:, 1] / length, -1, 1)))
    assert 5 < tilt.mean() < 20


def test_some_windows_come_from_a_sensor_of_two_g_and_none_is_noisier_than_said() -> None:
    hard_hits = np.full((400, augment.stretch_points(80), 3), 30.0, dtype=np.float32)
    made = augment.augment(hard_hits, 80, np.random.default_rng(0))
    clipped = (np.abs(made) <= augment.RANGE_MS2 + 0.1).all(axis=(1, 2))
    assert 0.03 < clipped.mean() < 0.2
    assert made.std(axis=1).max() < augment.NOISE_MS2 * 1.5


def test_a_warped_rhythm_stays_within_the_tempo() -> None:
    points = augment.stretch_points(80)
    wave = np.zeros((100, points, 3), dtype=np.float32)
    wave[:, :, 1] = np.sin(2 * np.pi * 2.0 * np.arange(points) / 20)
    made = augment.augment(wave, 80, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(made - made.mean(axis=1, keepdims=True), n=2000, axis=1)).sum(axis=2)
    rhythm_hz = np.fft.rfftfreq(2000, 0.05)[spectrum.argmax(axis=1)]
    assert (np.abs(np.log(rhythm_hz / 2.0)) < augment.WARP + 0.03).all()
    assert rhythm_hz.std() > 0.05


def test_the_longest_warp_has_room() -> None:
    assert np.exp(augment.WARP) * 79 <= augment.stretch_points(80) - 1
