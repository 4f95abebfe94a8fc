"""Windows → further windows as other people, pockets and sensors could have given. Knows no features.

People and pockets: tilt, gain, time warp. Sensors: noise, coarse steps, another low-pass, a range of 2 g.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hard.records import Float32Array, Float64Array

TILT_RAD = math.radians(15.0)  # standard deviation of the turn about a random axis
GAIN = 0.12  # the log gain lies within ± this
WARP = 0.14  # the log tempo lies within ± this
NOISE_MS2 = 0.15  # deviation of white noise, at most
STEPS_MS2 = (0.0, 0.04, 0.15)  # quantisation: none, 4 mg as many phones have, 15 mg
SMOOTHING = (-0.08, 0.2)  # weight of both neighbours in a sample: resampling from another rate sharpens or blurs
CLIPPED = 0.1  # share of windows from a sensor of ± 2 g
RANGE_MS2 = 19.6
PART = 8192  # windows made at a time
STRETCH = 1.2  # windows are made from stretches so much longer, so that a faster tempo has samples to take


def stretch_points(points: int) -> int:
    """Grid points of a stretch from which windows of `points` can be made."""
    return math.ceil(points * STRETCH)


def augment(stretches: Float32Array, points: int, rng: np.random.Generator) -> Float32Array:
    """One window (N, T, 3) of T = `points` from each stretch (N, T', 3), T' = `stretch_points(T)`, in parts."""
    parts = [_augment(stretches[i : i + PART], points, rng) for i in range(0, len(stretches), PART)]
    return np.concatenate(parts) if parts else np.empty((0, points, 3), np.float32)


def _augment(stretches: Float32Array, points: int, rng: np.random.Generator) -> Float32Array:
    n = len(stretches)
    warped = _warp(stretches, points, np.exp(rng.uniform(-WARP, WARP, n)), rng.uniform(0, 1, n))
    gained = warped * np.exp(rng.uniform(-GAIN, GAIN, n))[:, None, None]
    axes = rng.normal(size=(n, 3))
    turns = rotations(axes / np.linalg.norm(axes, axis=1, keepdims=True), rng.normal(0, TILT_RAD, n))
    return _sensed(np.einsum("nij,ntj->nti", turns, gained), rng)


def _sensed(windows: Float64Array, rng: np.random.Generator) -> Float32Array:
    """The windows (N, T, 3) as sensors of other kinds would give them."""
    n = len(windows)

    def each(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values)[:, None, None]

    neighbours = np.concatenate((windows[:, :1], windows[:, :-1]), axis=1) + np.concatenate(
        (windows[:, 1:], windows[:, -1:]), axis=1
    )
    weight = each(rng.uniform(*SMOOTHING, n))
    windows = (1 - weight) * windows + weight / 2 * neighbours
    windows = windows + each(rng.uniform(0, NOISE_MS2, n)) * rng.normal(size=windows.shape)
    windows = np.where(each(rng.random(n) < CLIPPED), np.clip(windows, -RANGE_MS2, RANGE_MS2), windows)
    step = each(rng.choice(STEPS_MS2, n))
    return np.where(step > 0, np.round(windows / np.maximum(step, 1e-6)) * step, windows).astype(np.float32)


def rotations(axes: Float64Array, angles: Float64Array) -> Float64Array:
    """Rotation matrices (N, 3, 3) about unit `axes` (N, 3) by `angles` (N,) in rad (Rodrigues)."""
    x, y, z = axes.T
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=1).reshape(-1, 3, 3)
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.asarray(np.eye(3) + sin * cross + (1 - cos) * cross @ cross)


def _warp(stretches: Float32Array, points: int, tempo: Float64Array, start: Float64Array) -> Float64Array:
    """Resamples each stretch at `tempo` (N,) from a `start` (N,), 0 to 1 of what its length allows."""
    length = stretches.shape[1]
    span = tempo[:, None] * np.arange(points)
    at = np.minimum(span + start[:, None] * np.maximum(0, length - 1 - span[:, -1:]), length - 1)
    low = np.minimum(at.astype(np.int64), length - 2)
    weight = (at - low)[..., None]
    rows = np.arange(len(stretches))[:, None]
    return np.asarray(stretches[rows, low] * (1 - weight) + stretches[rows, low + 1] * weight)
