"""Windows (B, T, 3) in m/s² and their mountings → channels (S, B, T), their spectra and their gait. Knows no feature.

`features.py` lists the channels' names.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hard.records import Float32Array

EPSILON = 1e-6
STEP_HZ = np.arange(1.2, 3.3, 0.02)  # candidates of the step frequency
HARMONICS = 6  # of the stride
STEEP_COS = 0.8  # forward nearer to gravity than this (37°) can't be made level: up stands in for it


class Gait(NamedTuple):
    """Step frequency (B,) in Hz; complex amplitudes (S, B, K) of the stride's harmonics, phases against the step."""

    step_hz: Float32Array
    amplitude: NDArray[np.complex64]


class Spectra(NamedTuple):
    """Power (S, B, N) per channel and frequency in Hz (N,), and autocorrelations (S, B, T) normalised at lag 0."""

    power: Float32Array
    frequency: NDArray[np.float64]
    autocorrelation: Float32Array


def compute(
    windows: Float32Array, vertical: Float32Array, mounting: tuple[Float32Array, Float32Array], wanted: list[str]
) -> Float32Array:
    """The channels (S, B, T) called `wanted`, of windows whose unit gravity is `vertical` (B, 3), under a mounting
    `(up, forward)`, each (B, 3)."""
    made: dict[str, Float32Array] = {axis: windows[..., i] for i, axis in enumerate("xyz") if axis in wanted}
    if "m" in wanted:
        made["m"] = np.sqrt(np.einsum("btc,btc->bt", windows, windows))
    if {"v", "f", "l", "h"} & set(wanted):
        made["v"] = np.einsum("btc,bc->bt", windows, vertical)
        if "h" in wanted:
            horizontal = windows - made["v"][..., None] * vertical[:, None, :]
            made["h"] = np.sqrt(np.einsum("btc,btc->bt", horizontal, horizontal))
        if {"f", "l"} & set(wanted):
            forward = _level_forward(vertical, *mounting)
            made["f"] = np.einsum("btc,bc->bt", windows, forward)
            made["l"] = np.einsum("btc,bc->bt", windows, _cross(vertical, forward))
    return np.stack([made[channel] for channel in wanted])


def _cross(a: Float32Array, b: Float32Array) -> Float32Array:
    """Vector products (B, 3); numpy's own takes ten times as long for a few rows."""
    return np.asarray(a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]])


def _level_forward(vertical: Float32Array, up: Float32Array, forward: Float32Array) -> Float32Array:
    """Level unit vectors (B, 3) that point forward. On a thigh that lies, `forward` is vertical and `up` is level."""
    steep = np.einsum("bc,bc->b", forward, vertical)[:, None]
    level = forward - steep * vertical
    lying = -np.sign(steep) * (up - np.einsum("bc,bc->b", up, vertical)[:, None] * vertical)
    level = np.where(np.abs(steep) > STEEP_COS, lying, level)
    return np.asarray(level / np.maximum(np.linalg.norm(level, axis=1, keepdims=True), EPSILON), dtype=np.float32)


@lru_cache(maxsize=8)
def _spectral_basis(points: int, rate_hz: float) -> tuple[Float32Array, np.float32, Float32Array, NDArray[np.float64]]:
    """Taper (T,), the scale of power, the weight (T,) of each lag, frequencies (N,) in Hz.

    Each lag has T − lag products: weighted, a steady rhythm has a peak of 1 at any lag.
    """
    taper = np.hanning(points).astype(np.float32)
    unbiased = (points / np.arange(points, 0, -1)).astype(np.float32)
    frequency = np.asarray(np.fft.rfftfreq(points, 1 / rate_hz), dtype=np.float64)
    return taper, np.float32((taper**2).sum() * rate_hz), unbiased, frequency


def spectra(centred: Float32Array, rate_hz: float) -> Spectra:
    """The spectra of channels without their mean (S, B, T)."""
    n = centred.shape[2]
    taper, scale, unbiased, frequency = _spectral_basis(n, rate_hz)
    power = np.abs(np.fft.rfft(centred * taper, axis=2)).astype(np.float32) ** 2 / scale
    padded = np.abs(np.fft.rfft(centred, n=2 * n, axis=2)) ** 2
    correlation: Float32Array = np.fft.irfft(padded, axis=2)[..., :n].astype(np.float32)
    correlation *= unbiased
    correlation /= np.maximum(correlation[..., :1], np.float32(EPSILON))
    return Spectra(power, frequency, correlation)


@lru_cache(maxsize=8)
def _step_basis(points: int, rate_hz: float) -> tuple[NDArray[np.complex64], NDArray[np.complex64], Float32Array]:
    """Tapered waves (T, N) at STEP_HZ and at twice that, and the taper (T,)."""
    taper = np.hanning(points)
    waves = [np.exp(-2j * np.pi * k * np.outer(np.arange(points) / rate_hz, STEP_HZ)) * taper[:, None] for k in (1, 2)]
    return waves[0].astype(np.complex64), waves[1].astype(np.complex64), taper.astype(np.float32)


def gait(centred: Float32Array, vertical: int, rate_hz: float) -> Gait:
    """The gait of channels without their mean (S, B, T): the step frequency from the channel at index `vertical`, then
    each channel's Fourier coefficients at the stride's harmonics."""
    points = centred.shape[2]
    once, twice, taper = _step_basis(points, rate_hz)
    power = np.abs(centred[vertical] @ once) ** 2 + 0.5 * np.abs(centred[vertical] @ twice) ** 2
    step_hz = STEP_HZ[power.argmax(axis=1)].astype(np.float32)
    wave = np.exp(-1j * np.pi * np.outer(step_hz, np.arange(points) / rate_hz)).astype(np.complex64)  # (B, T)
    tapered, harmonic = centred * taper, np.ones_like(wave)
    amplitude = np.empty((*centred.shape[:2], HARMONICS), dtype=np.complex64)
    for k in range(HARMONICS):
        harmonic = harmonic * wave
        amplitude[..., k] = np.einsum("sbt,bt->sb", tapered, harmonic) * np.float32(2 / taper.sum())
    # Time zero is the crest of the step's own wave: the phase of harmonic k turns k/2 times as fast as the step's.
    step = np.angle(amplitude[vertical, :, 1]) / 2
    return Gait(step_hz, amplitude * np.exp(-1j * np.outer(step, np.arange(1, HARMONICS + 1))).astype(np.complex64))
