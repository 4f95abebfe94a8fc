"""Plausible accelerations of each activity, for the demo, tests and load. Seeded; knows no wire format and no model.

A simulated wearer moves as one subject of the recordings that `scripts/fit_simulator.py` fitted. `simulator.json` holds
some prototypes for each activity and subject: the mean acceleration, a gait cycle as Fourier coefficients, how its pace
and strength vary, and the covariance of the remainder, by frequency band.
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

SYNTHESIS_HZ = 50.0  # also the rate of the recordings that the parameters come from
BANDS_HZ = (0.0, 0.5, 1.5, 3.0, 6.0, 10.0, 25.0)  # edges of the bands of the remainder
FADE_S = 0.6  # from one activity to the next
VARIATION_S = 2.0  # pace and strength change over about so long
MAX_VARIATION = 0.2
KEPT_EPISODES = 256  # past episodes whose activity a wearer still knows
MIN_EPISODE_S = 4 * FADE_S
MAX_TAKE_S = 600.0  # at most KEPT_EPISODES episodes


class Prototype(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one subject does an activity, in m/s² and Hz. H harmonics of the stride, 0 for an activity without rhythm.

    `cosine` and `sine` (H, 3) are the gait cycle. `pace_sd` and `strength_sd` are relative. `remainder` (bands, 6) has
    the Cholesky factors of the covariances, as xx, yx, yy, zx, zy, zz.
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
    """`simulator.json`: prototypes by activity, and the recordings that they come from."""

    source: str
    prototypes: dict[str, tuple[Prototype, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Consecutive samples: `time` (N,) in s, `xyz` (N, 3) in m/s², `activity` (N,) the true activity."""

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

    It begins by walking, where that is among others, and changes to another of `among`, by default of all, after a
    random time within `dwell_s`. The stream is
    continuous: an activity fades into the next, and the fade counts as the next. Raises ValueError for an activity that
    isn't known.
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
        self._taken = 0  # samples
        self._synthesised = np.empty((0, 3))  # at SYNTHESIS_HZ, from index `_synthesised_from` on
        self._synthesised_from = 0
        self._episodes: deque[Episode] = deque(maxlen=KEPT_EPISODES)
        self._activity = ""

    def take(self, n: int) -> Motion:
        """The next `n` samples: at least one, and at most MAX_TAKE_S. Raises ValueError for other numbers."""
        if not 0 < n <= MAX_TAKE_S * self.rate_hz:
            raise ValueError(f"can't take {n} samples at {self.rate_hz:g} Hz at a time")
        ticks = np.arange(self._taken, self._taken + n) / self.rate_hz  # s since the start
        points = ticks * SYNTHESIS_HZ
        fade = round(FADE_S * SYNTHESIS_HZ)  # samples that fade into the next episode and may still change
        while self._synthesised_from + len(self._synthesised) - fade < points[-1] + 2:
            self._extend()
        drop = int(points[0]) - self._synthesised_from
        self._synthesised, self._synthesised_from = self._synthesised[drop:], self._synthesised_from + drop
        low = np.floor(points).astype(int)
        weight = (points - low)[:, None]
        low -= self._synthesised_from
        xyz = self._synthesised[low] * (1 - weight) + self._synthesised[low + 1] * weight
        self._taken += n
        time = self._start + ticks
        return Motion(time, xyz, self._truth(time))

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The latest episodes, at most KEPT_EPISODES, oldest first. The last may still be in the future."""
        return tuple(self._episodes)

    @property
    def buffered_samples(self) -> int:
        """How many synthesised samples wait to be taken, at SYNTHESIS_HZ."""
        return len(self._synthesised)

    def activity_during(self, start: float, end: float) -> str | None:
        """The activity of all of [start, end); None where there are several, or where it is too long ago."""
        slack = 1e-3  # far below one sample
        for episode in self.episodes:
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
        begins = not self._activity and "Walking" in others  # as one who has just put the device on
        self._activity = "Walking" if begins else str(self._random.choice(others))
        n = max(round(self._random.uniform(*self._dwell_s) * SYNTHESIS_HZ), round(MIN_EPISODE_S * SYNTHESIS_HZ))
        prototypes = parameters().prototypes[self._activity]
        own = [prototype for prototype in prototypes if prototype.subject == self._subject] or list(prototypes)
        fade = round(FADE_S * SYNTHESIS_HZ)
        # Each episode is synthesised longer by one fade, which the next one overlaps.
        fresh = synthesise(own[self._random.integers(len(own))], n + fade, self._random)
        begin = self._synthesised_from
        if len(self._synthesised):
            begin += len(self._synthesised) - fade
            rising = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade))[:, None]
            fresh[:fade] = self._synthesised[-fade:] * (1 - rising) + fresh[:fade] * rising
            self._synthesised = np.concatenate((self._synthesised[:-fade], fresh))
        else:
            self._synthesised = fresh
        start = self._start + begin / SYNTHESIS_HZ
        self._episodes.append(Episode(start, start + n / SYNTHESIS_HZ, self._activity))


def synthesise(prototype: Prototype, n: int, random: np.random.Generator) -> Float64Array:
    """`n` samples (n, 3) in m/s² at SYNTHESIS_HZ of one prototype."""
    xyz = np.asarray(prototype.mean) + _remainder(np.asarray(prototype.remainder), n, random)
    if prototype.cosine:
        pace = prototype.stride_hz * (1 + _variation(prototype.pace_sd, n, random))
        phase = 2 * np.pi * (np.cumsum(pace) / SYNTHESIS_HZ + random.uniform())
        harmonics = np.exp(1j * phase)[:, None] ** np.arange(1, len(prototype.cosine) + 1)  # (n, H)
        strength = 1 + _variation(prototype.strength_sd, n, random)[:, None]
        xyz += strength * (harmonics.real @ np.asarray(prototype.cosine) + harmonics.imag @ np.asarray(prototype.sine))
    return xyz


def _variation(sd: float, n: int, random: np.random.Generator) -> Float64Array:
    """Slow random variation (n,) about zero."""
    knots = np.clip(random.normal(0, sd, int(n / SYNTHESIS_HZ / VARIATION_S) + 3), -MAX_VARIATION, MAX_VARIATION)
    return np.interp(np.arange(n) / (SYNTHESIS_HZ * VARIATION_S), np.arange(len(knots)), knots)


def _remainder(factors: Float64Array, n: int, random: np.random.Generator) -> Float64Array:
    """Noise (n, 3) whose covariance in each band is that of the Cholesky `factors` (bands, 6)."""
    lower = np.zeros((len(factors), 3, 3))
    lower[(slice(None), *np.tril_indices(3))] = factors
    hz = np.fft.rfftfreq(n, 1 / SYNTHESIS_HZ)
    band = np.clip(np.searchsorted(BANDS_HZ, hz, side="right") - 1, 0, len(factors) - 1)
    weight = 1 / np.sqrt(2 * np.maximum(np.bincount(band[1:], minlength=len(factors)), 1))
    white = (random.normal(size=(len(hz), 3)) + 1j * random.normal(size=(len(hz), 3))) / np.sqrt(2)
    spectrum: NDArray[Any] = np.einsum("fij,fj->fi", lower[band] * weight[band][:, None, None], white)
    spectrum[0] = 0
    return np.fft.irfft(spectrum, n, axis=0, norm="forward")
