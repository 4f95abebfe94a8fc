"""Plausible accelerations per activity, for the demo and for load. Seeded; knows no wire and no model.

A wearer is one of the fitted subjects. What `simulator.json` holds of a subject are parameters, fitted by
`scripts/fit_simulator.py` from recordings: for each activity some prototypes, each the mean acceleration, a gait cycle
as Fourier coefficients, how its pace and strength wander, and the covariance of what remains, by frequency band.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hard.records import Float64Array

INNER_HZ = 50.0  # rate of the recordings that the parameters come from, and of the synthesis
BANDS_HZ = (0.0, 0.5, 1.5, 3.0, 6.0, 10.0, 25.0)  # edges of the bands of the remainder
FADE_S = 0.6  # from one activity to the next
WANDER_S = 2.0  # pace and strength change over about so long
MAX_WANDER = 0.2
REMEMBERED = 256  # past episodes that a wearer can tell the truth about
SHORTEST_S = 4 * FADE_S  # an episode
LONGEST_TAKE_S = 600.0  # all of its episodes are remembered


class Prototype(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way of doing an activity. m/s², Hz; H harmonics of the stride, 0 for an activity without rhythm.

    `cosine`, `sine` (H, 3): the gait cycle. `pace_sd`, `strength_sd`: relative. `remainder` (bands, 6): the
    covariance's Cholesky factor, as xx, yx, yy, zx, zy, zz.
    """

    subject: str
    mean: tuple[float, float, float]
    stride_hz: float
    cosine: tuple[tuple[float, float, float], ...]
    sine: tuple[tuple[float, float, float], ...]
    pace_sd: float
    strength_sd: float
    remainder: tuple[tuple[float, float, float, float, float, float], ...]


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`simulator.json`: prototypes by activity, and where they come from."""

    source: str
    prototypes: dict[str, tuple[Prototype, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Consecutive samples: `time` (N,) s, `xyz` (N, 3) m/s², `activity` (N,) the true names."""

    time: Float64Array
    xyz: Float64Array
    activity: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Episode:
    """One activity over [start, end), in the wearer's time."""

    start: float
    end: float
    activity: str


@cache
def parameters() -> Parameters:
    """The fitted parameters that ship inside the package."""
    return msgspec.json.decode((files("hard") / "simulator.json").read_bytes(), type=Parameters)


def activities() -> tuple[str, ...]:
    """The activities that can be simulated."""
    return tuple(parameters().prototypes)


class Wearer:
    """One simulated wearer: an endless stream of samples at `rate_hz` from time `start`, the same for the same seed.

    Changes to another of `among` after a random `dwell_s`. Each stream is continuous: an activity fades into the next,
    and the fade belongs to the next. Raises ValueError for an activity that isn't known.
    """

    def __init__(
        self,
        seed: int | Sequence[int],
        rate_hz: float = 50.0,
        *,
        start: float = 0.0,
        dwell_s: tuple[float, float] = (12.0, 30.0),
        among: Sequence[str] = (),
    ) -> None:
        known = parameters().prototypes
        unknown = [name for name in among if name not in known]
        if unknown:
            raise ValueError(f"can't simulate {', '.join(unknown)}; known are {', '.join(known)}")
        self.rate_hz, self._start, self._dwell_s, self._among = rate_hz, start, dwell_s, tuple(among or known)
        self._random = np.random.default_rng(seed)
        subjects = sorted({p.subject for name in self._among for p in known[name]})
        self._subject = str(self._random.choice(subjects))
        self._given = 0  # samples given
        self._inner = np.empty((0, 3))  # synthesised at INNER_HZ, from index `_inner_at` on
        self._inner_at = 0
        self._episodes: deque[Episode] = deque(maxlen=REMEMBERED)
        self._activity = ""

    def take(self, n: int) -> Motion:
        """The next `n` samples, at least one and at most LONGEST_TAKE_S long."""
        if not 0 < n <= LONGEST_TAKE_S * self.rate_hz:
            raise ValueError(f"can't take {n} samples at {self.rate_hz:g} Hz at a time")
        ticks = np.arange(self._given, self._given + n) / self.rate_hz  # s since the start
        points = ticks * INNER_HZ
        fade = round(FADE_S * INNER_HZ)  # samples that the next episode will change
        while self._inner_at + len(self._inner) - fade < points[-1] + 2:
            self._extend()
        drop = int(points[0]) - self._inner_at
        self._inner, self._inner_at = self._inner[drop:], self._inner_at + drop
        low = np.floor(points).astype(int)
        weight = (points - low)[:, None]
        low -= self._inner_at
        xyz = self._inner[low] * (1 - weight) + self._inner[low + 1] * weight
        self._given += n
        time = self._start + ticks
        return Motion(time, xyz, self._truth(time))

    def during(self, start: float, end: float) -> str | None:
        """The activity that fills [start, end); None where there are several, or it is too long ago."""
        slack = 1e-3  # far below one sample
        for episode in tuple(self._episodes):
            if episode.start - slack <= start and end <= episode.end + slack:
                return episode.activity
        return None

    def _truth(self, time: Float64Array) -> NDArray[np.str_]:
        ends = np.array([episode.end for episode in self._episodes])
        at = np.searchsorted(ends, time + 1e-6, side="right")
        names = np.array([episode.activity for episode in self._episodes])
        return np.asarray(names[at])

    def _extend(self) -> None:
        """Synthesises one more episode and fades it in."""
        others = [name for name in self._among if name != self._activity] or list(self._among)
        self._activity = str(self._random.choice(others))
        n = max(round(self._random.uniform(*self._dwell_s) * INNER_HZ), round(SHORTEST_S * INNER_HZ))
        ways = parameters().prototypes[self._activity]
        mine = [way for way in ways if way.subject == self._subject] or list(ways)
        fade = round(FADE_S * INNER_HZ)
        # Each episode is longer than it lasts by one fade, which the next one overlaps.
        fresh = synthesise(mine[self._random.integers(len(mine))], n + fade, self._random)
        begin = self._inner_at
        if len(self._inner):
            begin += len(self._inner) - fade
            rising = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade))[:, None]
            fresh[:fade] = self._inner[-fade:] * (1 - rising) + fresh[:fade] * rising
            self._inner = np.concatenate((self._inner[:-fade], fresh))
        else:
            self._inner = fresh
        start = self._start + begin / INNER_HZ
        self._episodes.append(Episode(start, start + n / INNER_HZ, self._activity))


def synthesise(way: Prototype, n: int, random: np.random.Generator) -> Float64Array:
    """`n` samples (n, 3) m/s² at INNER_HZ of one activity done one way."""
    xyz = np.asarray(way.mean) + _remainder(np.asarray(way.remainder), n, random)
    if way.cosine:
        pace = way.stride_hz * (1 + _wander(way.pace_sd, n, random))
        phase = 2 * np.pi * (np.cumsum(pace) / INNER_HZ + random.uniform())
        turns = np.exp(1j * phase)[:, None] ** np.arange(1, len(way.cosine) + 1)  # (n, H)
        strength = 1 + _wander(way.strength_sd, n, random)[:, None]
        xyz += strength * (turns.real @ np.asarray(way.cosine) + turns.imag @ np.asarray(way.sine))
    return xyz


def _wander(sd: float, n: int, random: np.random.Generator) -> Float64Array:
    """A slow random course (n,) about zero."""
    knots = np.clip(random.normal(0, sd, int(n / INNER_HZ / WANDER_S) + 3), -MAX_WANDER, MAX_WANDER)
    return np.interp(np.arange(n) / (INNER_HZ * WANDER_S), np.arange(len(knots)), knots)


def _remainder(factors: Float64Array, n: int, random: np.random.Generator) -> Float64Array:
    """Noise (n, 3) whose covariance in each band is that of the Cholesky `factors` (bands, 6)."""
    lower = np.zeros((len(factors), 3, 3))
    lower[(slice(None), *np.tril_indices(3))] = factors
    hz = np.fft.rfftfreq(n, 1 / INNER_HZ)
    band = np.clip(np.searchsorted(BANDS_HZ, hz, side="right") - 1, 0, len(factors) - 1)
    weight = 1 / np.sqrt(2 * np.maximum(np.bincount(band[1:], minlength=len(factors)), 1))
    white = (random.normal(size=(len(hz), 3)) + 1j * random.normal(size=(len(hz), 3))) / np.sqrt(2)
    spectrum: NDArray[Any] = np.einsum("fij,fj->fi", lower[band] * weight[band][:, None, None], white)
    spectrum[0] = 0
    return np.fft.irfft(spectrum, n, axis=0, norm="forward")
