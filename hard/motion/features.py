"""Windows (B, T, 3) in m/s² and what is known beside them → features (B, F). Knows no device and no model.

A feature is named `channel.statistic`. The channels, each (B, T):

    x, y, z   the device's own axes
    v, f, l   vertical (along gravity, the window's mean acceleration), forward and to the left of the wearer
    h         the length of the horizontal part
    m         the magnitude of the whole

Gravity gives the vertical even where a phone turns in its pocket; the mounting only gives the direction of forward. All
channels but x, y, z are the same in any orientation of the device.

Statistics: mean, std, min, max, q10, q25, q50, q75, q90, iqr, skew, kurt; jerk (mean |da/dt|, m/s³); freq (dominant
frequency, 0.4 Hz and up); peak, lag (height and place in s of the greatest autocorrelation at lags of 0.3-1.3 s, where
a walking rhythm has it); e1 … e5 (log10 power in BANDS_HZ); k1 … k6 (log10 amplitude of the harmonics of the stride,
half the step frequency) and c2, s2, c4, s4, c6, s6 (cosine and sine of the even ones' phase, against the step in v).

Others: `step.freq` (Hz); the correlations `vf.corr`, `vl.corr`, `fl.corr`; and the orientation of the part of the body
that wears the device: `tilt.cos` and `lean.cos`, the cosines between gravity and the mounting's up and forward.

`long.` before a feature has it over twice the window's length: what came before, and the window.

A feature is NaN where what it needs is not known yet: the mounting (f, l, tilt, lean), or what came before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hard.motion import channels
from hard.motion.channels import EPSILON, HARMONICS, Gait, Spectra
from hard.records import Float32Array, Window

BANDS_HZ = ((0.4, 1.2), (1.2, 2.0), (2.0, 3.0), (3.0, 5.0), (5.0, 10.0))
LAGS_S = (0.3, 1.3)
CHANNELS = ("x", "y", "z", "v", "f", "l", "h", "m")
QUANTILES = {"q10": 0.10, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q90": 0.90}
PAIRS = {"vf.corr": ("v", "f"), "vl.corr": ("v", "l"), "fl.corr": ("f", "l")}
OTHERS = (*PAIRS, "step.freq", "tilt.cos", "lean.cos")
MOUNTED = {"f", "l", "vf", "vl", "fl", "tilt", "lean"}  # what features that need a mounting begin with
LONG = "long."
Columns = NDArray[np.int64]
MIN_GRAVITY_MS2 = 0.5  # below it a window has no direction of gravity, and the axis z stands in for it


def names() -> list[str]:
    """The names of all features."""
    of_window = [f"{channel}.{statistic}" for channel in CHANNELS for statistic in STATISTICS]
    of_window += OTHERS
    return [*of_window, *(LONG + name for name in of_window)]


class Known(NamedTuple):
    """What is known beside B windows: the mounting `up` and `forward` (B, 3), whether it was learnt (B,), and the
    samples `before` (B, T, 3) the window, NaN where there are too few."""

    up: Float32Array
    forward: Float32Array
    calibrated: NDArray[np.bool_]
    before: Float32Array

    @classmethod
    def of(cls, windows: Sequence[Window]) -> Known:
        """That of `windows`."""
        unknown = np.full_like(windows[0].xyz, np.nan) if windows else None
        return cls(
            np.array([window.up for window in windows]),
            np.array([window.forward for window in windows]),
            np.array([window.calibrated for window in windows], dtype=bool),
            np.array([window.before if len(window.before) else unknown for window in windows]),
        )

    def at(self, rows: NDArray[np.int64] | slice) -> Known:
        """That at `rows` alone."""
        return Known(self.up[rows], self.forward[rows], self.calibrated[rows], self.before[rows])


def extract(windows: Float32Array, known: Known, rate_hz: float, wanted: Sequence[str]) -> Float32Array:
    """Features (B, F) in the order of `wanted`, of `windows` (B, T, 3) and what is `known` beside them.

    All are finite, even where absurd values overflow, or NaN where not known. Raises ValueError naming a feature that
    doesn't exist.
    """
    parts, out = _parts(tuple(wanted)), np.full((len(windows), len(wanted)), np.nan, np.float32)
    out[:, parts.short] = _of_windows(windows, known.up, known.forward, rate_hz, parts.short_names)
    rows = np.flatnonzero(~np.isnan(known.before[:, 0, 0]))
    if len(rows) and len(parts.long):
        both = np.concatenate((known.before[rows], windows[rows]), axis=1)
        axes = known.up[rows], known.forward[rows]
        out[np.ix_(rows, parts.long)] = _of_windows(both, *axes, rate_hz, parts.long_names)
    if not known.calibrated.all():
        out[np.ix_(np.flatnonzero(~known.calibrated), parts.mounted)] = np.nan
    return out


@np.errstate(over="ignore", invalid="ignore")
def _of_windows(
    windows: Float32Array, up: Float32Array, forward: Float32Array, rate_hz: float, wanted: Sequence[str]
) -> Float32Array:
    """Features (B, F) that need no past, under mountings `up` and `forward` (B, 3)."""
    windows = np.asarray(windows, dtype=np.float32)
    plan = _plan(tuple(wanted))
    gravity = windows.mean(axis=1)
    length = np.linalg.norm(gravity, axis=1, keepdims=True)
    vertical = np.where(
        length > MIN_GRAVITY_MS2, gravity / np.maximum(length, EPSILON), np.array([0, 0, 1], np.float32)
    )
    out = np.empty((len(windows), len(wanted)), dtype=np.float32)
    made = channels.compute(windows, vertical, (up, forward), plan.channels)  # (S, B, T)
    centred = made - made.mean(axis=2, keepdims=True)
    spread = np.sqrt(np.mean(centred**2, axis=2))
    spectra = channels.spectra(centred, rate_hz) if plan.spectral else None
    gait = channels.gait(centred, plan.channels.index("v"), rate_hz) if plan.gait else None
    ordered = np.sort(made, axis=2) if plan.ordered else None
    for statistic, columns, rows in plan.statistics:
        block = Block(made, centred, spread, ordered, spectra, gait, rows, rate_hz)
        out[:, columns] = STATISTICS[statistic](block).T
    for name, column in plan.others:
        if name in PAIRS:
            first, second = (plan.channels.index(channel) for channel in PAIRS[name])
            product = (centred[first] * centred[second]).mean(axis=1)
            out[:, column] = product / np.maximum(spread[first] * spread[second], EPSILON)
        elif name == "step.freq":
            assert gait is not None
            out[:, column] = gait.step_hz
        else:
            direction = up if name == "tilt.cos" else forward
            out[:, column] = np.where(length[:, 0] > MIN_GRAVITY_MS2, (vertical * direction).sum(axis=1), 0.0)
    return np.nan_to_num(out, nan=0.0, posinf=1e6, neginf=-1e6)


class Parts(NamedTuple):
    """Where wanted features come from: `short_names` are those of the window, for the columns `short`, `long_names`
    those of twice its length, for `long`. The columns `mounted` need a mounting."""

    short_names: tuple[str, ...]
    short: Columns
    long_names: tuple[str, ...]
    long: Columns
    mounted: Columns


@lru_cache(maxsize=64)
def _parts(wanted: tuple[str, ...]) -> Parts:
    long = {column: name.removeprefix(LONG) for column, name in enumerate(wanted) if name.startswith(LONG)}
    short = {column: name for column, name in enumerate(wanted) if column not in long}
    mounted = [column for column, name in {**short, **long}.items() if name.partition(".")[0] in MOUNTED]
    return Parts(tuple(short.values()), _columns(short), tuple(long.values()), _columns(long), _columns(mounted))


def _columns(numbers: Iterable[int]) -> Columns:
    return np.array(list(numbers), dtype=np.int64)


class Block(NamedTuple):
    """What a statistic is computed from: all S channels, of which it needs `rows` (S'). Only these are copied."""

    all_channels: Float32Array  # (S, B, T)
    all_centred: Float32Array
    all_spread: Float32Array  # (S, B)
    ordered: Float32Array | None  # each channel's values, rising
    spectra: Spectra | None
    gait: Gait | None
    rows: list[int]
    rate_hz: float

    @property
    def channels(self) -> Float32Array:
        return self.all_channels[self.rows]

    @property
    def centred(self) -> Float32Array:
        return self.all_centred[self.rows]

    @property
    def spread(self) -> Float32Array:
        return self.all_spread[self.rows]

    def quantile(self, q: float) -> Float32Array:
        """(S', B), interpolated between the two values around it."""
        assert self.ordered is not None
        place = q * (self.ordered.shape[2] - 1)
        below = int(place)
        low = self.ordered[self.rows, :, below]
        high = self.ordered[self.rows, :, min(below + 1, self.ordered.shape[2] - 1)]
        return np.asarray(low + (high - low) * np.float32(place - below))


class Plan(NamedTuple):
    """What to compute for some features: the channels, each statistic once for all its channels, the others."""

    channels: list[str]
    statistics: list[tuple[str, list[int], list[int]]]  # statistic, columns of the result, rows of the channels
    others: list[tuple[str, int]]  # feature, column of the result
    ordered: bool
    spectral: bool
    gait: bool


@lru_cache(maxsize=64)
def _plan(wanted: tuple[str, ...]) -> Plan:
    """Groups the wanted features by statistic, so that each is computed once for all its channels."""
    groups: dict[str, list[tuple[int, str]]] = {}
    others = []
    for column, name in enumerate(wanted):
        channel, _, statistic = name.partition(".")
        if name in OTHERS:
            others.append((name, column))
        elif channel in CHANNELS and statistic in STATISTICS:
            groups.setdefault(statistic, []).append((column, channel))
        else:
            raise ValueError(f"there is no feature {name!r}")
    gait = "step.freq" in wanted or not GAIT.isdisjoint(groups)
    needed = {channel for group in groups.values() for _, channel in group}
    needed |= {channel for name, _ in others for channel in PAIRS.get(name, ())}
    if gait or not needed:
        needed.add("v")
    used = [channel for channel in CHANNELS if channel in needed]
    statistics = [
        (statistic, [column for column, _ in group], [used.index(channel) for _, channel in group])
        for statistic, group in groups.items()
    ]
    ordered, spectral = (not kind.isdisjoint(groups) for kind in (ORDERED, SPECTRAL))
    return Plan(used, statistics, others, ordered, spectral, gait)


def _harmonic(k: int) -> Callable[[Block], Float32Array]:
    def strength(block: Block) -> Float32Array:
        assert block.gait is not None
        return np.log10(np.abs(block.gait.amplitude[block.rows][..., k - 1]) + np.float32(0.01))

    return strength


def _phase(k: int, part: Callable[[Any], Any]) -> Callable[[Block], Float32Array]:
    def phase(block: Block) -> Float32Array:
        assert block.gait is not None
        amplitude = block.gait.amplitude[block.rows][..., k - 1]
        return np.asarray(part(amplitude / (np.abs(amplitude) + np.float32(0.05))), dtype=np.float32)

    return phase


def _quantile(q: float) -> Callable[[Block], Float32Array]:
    return lambda block: block.quantile(q)


def _iqr(block: Block) -> Float32Array:
    return block.quantile(0.75) - block.quantile(0.25)


def _moment(order: int) -> Callable[[Block], Float32Array]:
    return lambda block: np.mean(block.centred**order, axis=2) / np.maximum(block.spread, 1e-3) ** order


def _dominant(block: Block) -> Float32Array:
    assert block.spectra is not None
    heard = block.spectra.frequency >= BANDS_HZ[0][0]
    loudest = block.spectra.power[block.rows][..., heard].argmax(axis=2)
    return np.asarray(block.spectra.frequency[heard][loudest], dtype=np.float32)


def _rhythm(block: Block) -> tuple[Float32Array, Float32Array]:
    assert block.spectra is not None
    begin, stop = (round(lag * block.rate_hz) for lag in LAGS_S)
    lags = block.spectra.autocorrelation[block.rows][..., begin : stop + 1]
    at = lags.argmax(axis=2)
    return np.take_along_axis(lags, at[..., None], axis=2)[..., 0], ((at + begin) / block.rate_hz).astype(np.float32)


def _band(low: float, high: float) -> Callable[[Block], Float32Array]:
    def power(block: Block) -> Float32Array:
        assert block.spectra is not None
        frequency = block.spectra.frequency
        begin, stop = frequency.searchsorted((low, high))
        total = block.spectra.power[block.rows, :, begin:stop].sum(axis=2) * (frequency[1] - frequency[0])
        return np.asarray(np.log10(np.maximum(total, 1e-5)), dtype=np.float32)

    return power


STATISTICS: dict[str, Callable[[Block], Float32Array]] = {
    "mean": lambda block: block.channels.mean(axis=2),
    "std": lambda block: block.spread,
    "min": lambda block: block.channels.min(axis=2),
    "max": lambda block: block.channels.max(axis=2),
    **{name: _quantile(q) for name, q in QUANTILES.items()},
    "iqr": _iqr,
    "skew": _moment(3),
    "kurt": _moment(4),
    "jerk": lambda block: np.abs(np.diff(block.channels, axis=2)).mean(axis=2) * np.float32(block.rate_hz),
    "freq": _dominant,
    "peak": lambda block: _rhythm(block)[0],
    "lag": lambda block: _rhythm(block)[1],
    **{f"e{i}": _band(low, high) for i, (low, high) in enumerate(BANDS_HZ, 1)},
    **{f"k{k}": _harmonic(k) for k in range(1, HARMONICS + 1)},
    **{f"c{k}": _phase(k, np.real) for k in range(2, HARMONICS + 1, 2)},
    **{f"s{k}": _phase(k, np.imag) for k in range(2, HARMONICS + 1, 2)},
}
ORDERED = {*QUANTILES, "iqr"}
SPECTRAL = {"freq", "peak", "lag", *(f"e{i}" for i in range(1, len(BANDS_HZ) + 1))}
GAIT = {f"{kind}{k}" for kind in "kcs" for k in range(1, HARMONICS + 1)}
