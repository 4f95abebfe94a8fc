"""Windows → further windows as other people and pockets could have given: tilt, gain, time warp. Knows no features."""

from __future__ import annotations

import math

import numpy as np

from hard.records import Singles

TILT_RAD = math.radians(15.0)  # standard deviation of the turn about a random axis
GAIN = 0.12  # the log gain lies within ± this
WARP = 0.14  # the log tempo lies within ± this
ROOM = 1.2  # windows are drawn from stretches so much longer, so that a faster tempo has samples to take


def room_points(points: int) -> int:
    """Grid points of a stretch from which windows of `points` can be drawn."""
    return math.ceil(points * ROOM)


def augment(stretches: Singles, points: int, rng: np.random.Generator) -> Singles:
    """One window (N, T, 3) of T = `points` from each stretch (N, T', 3), T' = `room_points(T)`."""
    n = len(stretches)
    warped = _warp(stretches, points, np.exp(rng.uniform(-WARP, WARP, n)), rng.uniform(0, 1, n))
    gained = warped * np.exp(rng.uniform(-GAIN, GAIN, n))[:, None, None]
    axes = rng.normal(size=(n, 3))
    turns = rotations(axes / np.linalg.norm(axes, axis=1, keepdims=True), rng.normal(0, TILT_RAD, n))
    return np.einsum("nij,ntj->nti", turns, gained).astype(np.float32)


def rotations(axes: Singles, angles: Singles) -> Singles:
    """Rotation matrices (N, 3, 3) about unit `axes` (N, 3) by `angles` (N,) in rad (Rodrigues)."""
    x, y, z = axes.T
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=1).reshape(-1, 3, 3)
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.asarray(np.eye(3) + sin * cross + (1 - cos) * cross @ cross)


def _warp(stretches: Singles, points: int, tempo: Singles, place: Singles) -> Singles:
    """Resamples each stretch at `tempo` (N,) from a start at `place` (N,), 0..1 of what room there is."""
    length = stretches.shape[1]
    span = tempo[:, None] * np.arange(points)
    at = np.minimum(span + place[:, None] * np.maximum(0, length - 1 - span[:, -1:]), length - 1)
    low = np.minimum(at.astype(np.int64), length - 2)
    weight = (at - low)[..., None]
    rows = np.arange(len(stretches))[:, None]
    return np.asarray(stretches[rows, low] * (1 - weight) + stretches[rows, low + 1] * weight)
