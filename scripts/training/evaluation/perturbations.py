"""Recordings as other phones and placements would have given them, by name. Knows no model.

There is one data set at hand; these are the changes that mounting, sampling and sensor make to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import dropwhile, takewhile

import numpy as np

from hard.recordings.recordings import Recording
from hard.units import G_MS2
from training.data.augment import polled, rotations, slowed

Change = Callable[[Recording, np.random.Generator], Recording]
RATES_HZ = (50.0, 25.0, 20.0, 15.0, 12.5, 10.0, 6.0)  # from the highest on
MOST_LOST = 0.02  # of macro-F1, at the least rate


def perturbed(runs: Sequence[Recording]) -> Iterator[tuple[str, list[Recording]]]:
    """Each change's name and `runs` under it. What it draws is drawn once a subject, always the same."""
    for name, change in CHANGES.items():
        yield name, [change(run, np.random.default_rng(list(run.subject.encode()))) for run in runs]


def sampled_at(runs: Sequence[Recording], rate_hz: float) -> list[Recording]:
    """`runs` as devices that sample at `rate_hz` would have given them; slower ones stay as they are."""
    return [slowed(run, rate_hz) for run in runs]


def least_rate(macro_f1: Sequence[tuple[float, float]]) -> float | None:
    """The least rate down to which, from the best one on, none loses more than MOST_LOST; the rates fall. None where
    nothing was measured, or the best is 0."""
    best = max((reached for _, reached in macro_f1), default=0.0)
    lower = dropwhile(lambda pair: pair[1] < best, macro_f1)
    good = [rate_hz for rate_hz, _ in takewhile(lambda pair: pair[1] >= best - MOST_LOST, lower)]
    return good[-1] if best else None


def _turned(run: Recording, rng: np.random.Generator) -> Recording:
    axis = rng.normal(size=(1, 3))
    turn = rotations(axis / np.linalg.norm(axis), rng.uniform(1, np.pi, 1))[0]
    return replace(run, xyz=run.xyz @ turn.T)


def _polled(rate_hz: float) -> Change:
    return lambda run, rng: polled(run, rate_hz)


def _noisy(run: Recording, rng: np.random.Generator) -> Recording:
    return replace(run, xyz=run.xyz + rng.normal(0, 0.15, run.xyz.shape))


def _coarse(run: Recording, rng: np.random.Generator) -> Recording:
    step = 0.015 * G_MS2
    return replace(run, xyz=np.round(run.xyz / step) * step)


def _clipped(run: Recording, rng: np.random.Generator) -> Recording:
    return replace(run, xyz=np.clip(run.xyz, -2 * G_MS2, 2 * G_MS2))


def _gained(run: Recording, rng: np.random.Generator) -> Recording:
    return replace(run, xyz=run.xyz * (1 + rng.uniform(-0.06, 0.06, 3)))


CHANGES: dict[str, Change] = {
    "turned at random": _turned,
    "20 Hz, polled": _polled(20.0),
    "25 Hz, polled": _polled(25.0),
    "100 Hz, held": _polled(100.0),
    "noise of 0.15 m/s²": _noisy,
    "steps of 15 mg": _coarse,
    "range of ± 2 g": _clipped,
    "gain of each axis ± 6 %": _gained,
}
