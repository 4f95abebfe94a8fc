"""Channels, spectra and gait of windows: against plain definitions and known signals."""

from __future__ import annotations

import numpy as np
import pytest

from hard.motion import channels
from hard.records import Float32Array

RATE_HZ = 20.0
TIME = np.arange(80) / RATE_HZ
UP, FORWARD = np.array([[0, 1, 0]], np.float32), np.array([[0, 0, 1]], np.float32)
LEFT = np.array([[1, 0, 0]], np.float32)


def random_window(seed: int = 0) -> Float32Array:
    return np.random.default_rng(seed).normal([1, 9.5, 1], 2, (1, 80, 3)).astype(np.float32)


def centred(*signals: Float32Array) -> Float32Array:
    """Channels (S, 1, T) without their mean."""
    stacked = np.stack([np.asarray(signal, np.float32) for signal in signals])[:, None]
    return np.asarray(stacked - stacked.mean(axis=2, keepdims=True))


def test_channels_come_in_the_order_asked_for() -> None:
    window = random_window()
    made = channels.compute(window, UP, (UP, FORWARD), ["z", "x", "v"])
    np.testing.assert_array_equal(made[0], window[..., 2])
    np.testing.assert_array_equal(made[1], window[..., 0])
    np.testing.assert_allclose(made[2], window[..., 1], rtol=1e-6)


def test_upright_forward_and_left_are_the_axes_of_the_mounting() -> None:
    window = random_window()
    forward, left = channels.compute(window, UP, (UP, FORWARD), ["f", "l"])
    np.testing.assert_allclose(forward, window @ FORWARD[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(left, window @ LEFT[0], rtol=1e-5, atol=1e-5)


def test_the_horizontal_part_and_the_vertical_part_make_the_magnitude() -> None:
    horizontal, vertical, magnitude = channels.compute(random_window(), UP, (UP, FORWARD), ["h", "v", "m"])
    np.testing.assert_allclose(np.hypot(horizontal, vertical), magnitude, rtol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_where_forward_is_vertical_up_stands_in_for_it(sign: int) -> None:
    """A thigh that lies level: its up points backward where its forward points up, else forward."""
    window = random_window()
    (forward,) = channels.compute(window, sign * FORWARD, (UP, FORWARD), ["f"])
    np.testing.assert_allclose(forward, -sign * (window @ UP[0]), rtol=1e-5, atol=1e-5)


def test_the_power_of_a_sine_is_its_mean_square_at_its_frequency() -> None:
    spectra = channels.spectra(centred(3 * np.sin(2 * np.pi * 2.5 * TIME)), RATE_HZ)
    assert spectra.frequency[spectra.power[0, 0].argmax()] == 2.5
    step_hz = spectra.frequency[1] - spectra.frequency[0]
    assert 2 * spectra.power[0, 0].sum() * step_hz == pytest.approx(3**2 / 2, rel=0.05)


def test_a_steady_rhythm_has_an_autocorrelation_of_one_at_its_period() -> None:
    spectra = channels.spectra(centred(np.sin(2 * np.pi * 2 * TIME)), RATE_HZ)
    assert spectra.autocorrelation[0, 0, 0] == 1
    assert spectra.autocorrelation[0, 0, round(RATE_HZ / 2)] == pytest.approx(1, abs=0.01)
    assert spectra.autocorrelation[0, 0, round(RATE_HZ / 4)] == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize("step_hz", [1.4, 1.9, 2.6])
def test_the_gait_has_the_step_frequency_and_the_amplitudes_of_its_harmonics(step_hz: float) -> None:
    phase = 2 * np.pi * step_hz * TIME + 0.4
    gait = channels.gait(centred(3 * np.cos(phase), 2 * np.cos(phase + 1.0)), 0, RATE_HZ)
    assert gait.step_hz[0] == pytest.approx(step_hz, abs=0.03)
    assert np.abs(gait.amplitude[:, 0, 1]) == pytest.approx([3, 2], rel=0.05)
    assert np.angle(gait.amplitude[:, 0, 1]) == pytest.approx([0, 1], abs=0.1)
    assert np.abs(gait.amplitude[:, 0, 4:]).max() < 0.1
