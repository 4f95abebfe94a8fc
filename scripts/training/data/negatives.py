"""Windows that are no activity, to learn doubt from: a sensor dead, shaken, tumbling, on a machine, turned over slowly,
or drifting. Knows no data.

With random labels, they draw the model's answer to such input towards equal probabilities (outlier exposure:
Hendrycks, Mazeika, Dietterich 2019). What a bundle is judged by comes from another generator,
`training/evaluation/out_of_distribution.py`.
"""

from __future__ import annotations

import numpy as np

from hard.records import Float32Array, Float64Array
from hard.units import G_MS2
from training.data.augment import rotations

Rng = np.random.Generator


def windows(n: int, points: int, rate_hz: float, rng: Rng) -> Float32Array:
    """Windows (n, `points`, 3) in m/s² of all kinds, about as many of each."""
    drawn = [kind(part, points, rate_hz, rng) for kind, part in zip(KINDS, _shares(n, len(KINDS)), strict=True)]
    return np.concatenate(drawn).astype(np.float32)


def _shares(n: int, kinds: int) -> list[int]:
    return [(n + i) // kinds for i in range(kinds)]


def _directions(n: int, rng: Rng) -> Float64Array:
    """Unit vectors (n, 1, 3), evenly spread."""
    ways = rng.normal(size=(n, 1, 3))
    return np.asarray(ways / np.linalg.norm(ways, axis=2, keepdims=True))


def _dead(n: int, points: int, rate_hz: float, rng: Rng) -> Float64Array:
    """Constant, of a length that gravity does not have, three in ten at zero; with a little noise, or none."""
    length = np.where(rng.random(n) < 0.5, rng.uniform(0, 7, n), rng.uniform(13, 60, n)) * (rng.random(n) > 0.3)
    noise = rng.uniform(0, 0.3, n) * (rng.random(n) > 0.4)
    still = length[:, None, None] * _directions(n, rng)
    return np.asarray(still + noise[:, None, None] * rng.normal(size=(n, points, 3)))


def _shaken(n: int, points: int, rate_hz: float, rng: Rng) -> Float64Array:
    """Noise from blue to red, up to 25 m/s²; half of it without gravity, from 0.5 m/s² on."""
    memory = rng.uniform(-0.6, 0.9, (n, 1))
    noise = rng.normal(size=(n, points, 3))
    for i in range(1, points):
        noise[:, i] += memory * noise[:, i - 1]
    noise /= noise.std(axis=(1, 2), keepdims=True)
    floating = rng.random(n) < 0.5
    size = np.exp(rng.uniform(np.log(0.5), np.log(25), n))
    gravity = np.where(floating, 0, G_MS2)[:, None, None] * _directions(n, rng)
    return np.asarray(size[:, None, None] * noise + gravity)


def _tumbling(n: int, points: int, rate_hz: float, rng: Rng) -> Float64Array:
    """Gravity turning at 2 to 15 rad/s about a wandering axis, flights without weight, and catches of 15 to 80 m/s²."""
    speed = rng.uniform(2, 15, n) / rate_hz
    axis = _directions(n, rng)[:, 0]
    felt = np.empty((n, points, 3))
    at = G_MS2 * _directions(n, rng)[:, 0]
    for i in range(points):
        axis = axis + rng.normal(0, 0.15, (n, 3))
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        at = np.einsum("nij,nj->ni", rotations(axis, speed), at)
        felt[:, i] = at
    flight_s, every_s = rng.uniform(0.2, 0.8, n), rng.uniform(0.6, 2.0, n)
    phase = (np.arange(points) / rate_hz + rng.uniform(0, 2, n)[:, None]) % every_s[:, None]
    flying = phase < np.minimum(flight_s, 0.8 * every_s)[:, None]
    caught = flying[:, :-1] & ~flying[:, 1:]
    felt[flying] = 0
    felt[:, 1:][caught] += rng.uniform(15, 80, (caught.sum(), 1)) * _directions(int(caught.sum()), rng)[:, 0]
    return np.asarray(felt + rng.uniform(0, 3, (n, 1, 1)) * rng.normal(size=felt.shape))


def _machine(n: int, points: int, rate_hz: float, rng: Rng) -> Float64Array:
    """A steady vibration of 3.5 Hz to nine tenths of what the rate can show, along one line beside gravity."""
    time = np.arange(points) / rate_hz
    hz = rng.uniform(3.5, 0.45 * rate_hz, n)[:, None]
    vibration = np.exp(rng.uniform(np.log(0.4), np.log(20), n))[:, None] * np.sin(
        2 * np.pi * (hz * time + rng.random((n, 1)))
    )
    felt = G_MS2 * _directions(n, rng) + vibration[:, :, None] * _directions(n, rng)
    return np.asarray(felt + rng.uniform(0, 0.5, (n, 1, 1)) * rng.normal(size=felt.shape))


def _turned(n: int, points: int, rate_hz: float, rng: Rng) -> Float64Array:
    """Gravity turning steadily about one axis, at 0.15 to 1.5 rad/s, as in a hand that looks at the device."""
    at, axis = _directions(n, rng)[:, 0], _directions(n, rng)[:, 0]
    speed = np.exp(rng.uniform(np.log(0.15), np.log(1.5), n)) / rate_hz
    felt = np.stack([np.einsum("nij,nj->ni", rotations(axis, speed * i), at) for i in range(points)], axis=1)
    return np.asarray(G_MS2 * felt + rng.uniform(0, 0.2, (n, 1, 1)) * rng.normal(size=felt.shape))


def _drifting(n: int, points: int, rate_hz: float, rng: Rng) -> Float64Array:
    """A sensor whose offsets run away from gravity by 1 to 15 m/s² a second, or jump by 3 to 30 m/s²."""
    time = np.arange(points)[None, :, None] / rate_hz
    runs_by = np.exp(rng.uniform(np.log(1), np.log(15), (n, 1, 1))) * time
    jumps_by = rng.uniform(3, 30, (n, 1, 1)) * (time > rng.uniform(0.2, 0.8, (n, 1, 1)) * points / rate_hz)
    away = np.where(rng.random((n, 1, 1)) < 0.7, runs_by, jumps_by) * _directions(n, rng)
    return np.asarray(G_MS2 * _directions(n, rng) + away + rng.uniform(0, 0.3, (n, 1, 1)) * rng.normal(size=away.shape))


KINDS = (_dead, _shaken, _tumbling, _machine, _turned, _drifting)
