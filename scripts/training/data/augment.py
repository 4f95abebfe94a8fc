"""Recordings → further lives of their devices, as other days, people and sensors could have given. Knows no features.

What a window's features mean depends on what its device has shown before. A model that learnt from recordings in their
own order alone trusts histories that no gateway will see: so each device's recordings are cut, some activities left
out, and the rest joined in random order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from hard.motion.windows import SAME_TIME_S
from hard.recordings.recordings import Recording
from hard.records import Float64Array

PIECE_S = 15.0, 120.0  # a recording is cut into pieces of about so long
LIFE_S = 60.0, 1500.0  # and a life has about so much of them
KEPT = 0.65  # probability of each activity to be in a device's lives
BETWEEN_PIECES_S = 60.0
TEMPO = 0.07  # the log tempo of a life lies within ± this
VIGOUR = 0.1  # the log gain of the movement in a piece lies within ± this
TILT_RAD = math.radians(8.0)  # deviation of the turn about a random axis by which a device has shifted in a piece
GAIN = 0.02  # deviation of a sensor's log gain
OFFSET_MS2 = 0.15  # deviation of each axis' offset
NOISE_MS2 = 0.12  # deviation of white noise, at most
STEPS_MS2 = (0.0, 0.04, 0.15)  # quantisation: none, 4 mg as many phones have, 15 mg
CLIPPED = 0.1  # share of sensors of ± 2 g
RANGE_MS2 = 19.6
SLOW = 0.35  # share of lives whose device polls its sensor at SLOW_HZ
SLOW_HZ = 12.5, 30.0
FASTER = 1.05  # a rate up to so many times another is the same


def lives(runs: Sequence[Recording], rng: np.random.Generator) -> Iterator[list[Recording]]:
    """The recordings of each device as several lives, each to be heard by a device of its own."""
    by_device: dict[str, list[Recording]] = {}
    for run in runs:
        by_device.setdefault(run.device, []).append(run)
    for own in by_device.values():
        pieces = [piece for run in own for piece in _pieces(run, rng)]
        truths = sorted({_truth(piece) for piece in pieces})
        kept = {truth for truth in truths if rng.random() < KEPT} or set(truths)
        pieces = [piece for piece in pieces if _truth(piece) in kept]
        life: list[Recording] = []
        seconds, until = 0.0, rng.uniform(*LIFE_S)
        for i in rng.permutation(len(pieces)):
            life.append(pieces[i])
            seconds += float(pieces[i].time[-1] - pieces[i].time[0])
            if seconds > until:
                yield _lived(life, rng)
                life, seconds, until = [], 0.0, rng.uniform(*LIFE_S)
        if life:
            yield _lived(life, rng)


def _truth(piece: Recording) -> str:
    return "" if piece.truth is None else str(piece.truth[0])


def _pieces(run: Recording, rng: np.random.Generator) -> Iterator[Recording]:
    """`run` cut at random, and where its truth changes."""
    count = math.ceil(float(run.time[-1] - run.time[0]) / PIECE_S[0]) + 1
    ends = run.time[0] + np.cumsum(rng.uniform(*PIECE_S, count))
    cuts = set(np.searchsorted(run.time, ends).tolist())
    if run.truth is not None:
        cuts |= set((np.flatnonzero(run.truth[1:] != run.truth[:-1]) + 1).tolist())
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(run.time)), len(run.time)]
    for begin, stop in pairwise(bounds):
        if stop - begin > 1:
            truth = None if run.truth is None else run.truth[begin:stop]
            yield replace(run, time=run.time[begin:stop], xyz=run.xyz[begin:stop], truth=truth)


def _lived(pieces: Sequence[Recording], rng: np.random.Generator) -> list[Recording]:
    """The pieces one after the other, at one tempo and from one sensor."""
    tempo, gain = np.exp(rng.uniform(-TEMPO, TEMPO)), np.exp(rng.normal(0, GAIN))
    offset, noise = rng.normal(0, OFFSET_MS2, 3), rng.uniform(0, NOISE_MS2)
    step, clipped = rng.choice(STEPS_MS2), rng.random() < CLIPPED
    rate_hz = rng.uniform(*SLOW_HZ) if rng.random() < SLOW else None
    found, now = [], 0.0
    for piece in pieces:
        xyz = _moved(piece.xyz, rng) * gain + offset
        xyz += noise * rng.normal(size=xyz.shape)
        if clipped:
            xyz = np.clip(xyz, -RANGE_MS2, RANGE_MS2)
        if step:
            xyz = np.round(xyz / step) * step
        changed = replace(piece, time=(piece.time - piece.time[0]) / tempo + now, xyz=xyz)
        found.append(slowed(changed, rate_hz) if rate_hz else changed)
        now = float(changed.time[-1]) + BETWEEN_PIECES_S
    return found


def _moved(xyz: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Another vigour of movement, and the device a little shifted."""
    mean = xyz.mean(axis=0)
    axis = rng.normal(size=(1, 3))
    turn = rotations(axis / np.linalg.norm(axis), rng.normal(0, TILT_RAD, 1))[0]
    return np.asarray((mean + (xyz - mean) * np.exp(rng.uniform(-VIGOUR, VIGOUR))) @ turn.T)


def polled(run: Recording, rate_hz: float) -> Recording:
    """The newest sample at each tick, as of a device that polls its sensor."""
    ticks = np.arange(run.time[0], run.time[-1], 1 / rate_hz)
    rows = np.searchsorted(run.time, ticks + SAME_TIME_S, side="right") - 1
    return replace(run, time=ticks, xyz=run.xyz[rows], truth=None if run.truth is None else run.truth[rows])


def slowed(run: Recording, rate_hz: float) -> Recording:
    """`run` polled at `rate_hz`; `run` itself where it hasn't clearly more samples a second."""
    if len(run.time) < 2 or (len(run.time) - 1) / (run.time[-1] - run.time[0]) <= FASTER * rate_hz:
        return run
    return polled(run, rate_hz)


def rotations(axes: Float64Array, angles: Float64Array) -> Float64Array:
    """Rotation matrices (N, 3, 3) about unit `axes` (N, 3) by `angles` (N,) in rad (Rodrigues)."""
    x, y, z = axes.T
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=1).reshape(-1, 3, 3)
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.asarray(np.eye(3) + sin * cross + (1 - cos) * cross @ cross)
