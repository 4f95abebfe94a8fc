"""Windows (B, T, 3) in m/s² and upright directions (B, 3) → features (B, F). Knows no device, no prompt and no model.

A feature is named `signal.statistic`. Signals, each (B, T):

    x, y, z   the device's own axes
    v         the part along gravity (the window's mean acceleration)
    h         the length of the horizontal rest
    a, b      the horizontal rest along its greatest and its least spread
    m         the magnitude of the whole

Statistics: mean, std, min, max, q10, q25, q50, q75, q90, iqr, skew, kurt; jerk (mean |da/dt|, m/s³); freq (dominant
frequency, 0.4 Hz and up); peak, lag (height and place in s of the greatest autocorrelation at lags of 0.3-1.3 s, where
a walking rhythm has it); e1 … e5 (log10 power in BANDS_HZ). Beside these: `xy.corr`, `yz.corr`, `xz.corr`, and
`tilt.cos`, the cosine between gravity and upright.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hard.records import Singles

BANDS_HZ = ((0.4, 1.2), (1.2, 2.0), (2.0, 3.0), (3.0, 5.0), (5.0, 10.0))
LAGS_S = (0.3, 1.3)
TINY = 1e-6
SIGNALS = ("x", "y", "z", "v", "h", "a", "b", "m")
QUANTILES = {"q10": 0.10, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q90": 0.90}
PAIRS = {"xy.corr": (0, 1), "yz.corr": (1, 2), "xz.corr": (0, 2)}
GRAVITY_MIN = 0.5  # m/s²: below it a window has no direction of gravity, and the axis z stands in


class Spectra(NamedTuple):
    """Power (S, B, N) per signal and frequency in Hz (N,), and autocorrelations (S, B, T) normalised at lag 0."""

    power: Singles
    frequency: NDArray[np.float64]
    autocorrelation: Singles


def names() -> list[str]:
    """Every feature that can be asked for."""
    return [f"{signal}.{statistic}" for signal in SIGNALS for statistic in STATISTICS] + [*PAIRS, "tilt.cos"]


@np.errstate(over="ignore", invalid="ignore")
def extract(windows: Singles, up: Singles, rate_hz: float, wanted: Sequence[str]) -> Singles:
    """Features (B, F) in the order of `wanted`, of `windows` (B, T, 3) and upright directions `up` (B, 3).

    All are finite, even where absurd values overflow. Raises ValueError naming a feature that doesn't exist.
    """
    windows = np.asarray(windows, dtype=np.float32)
    plan = _plan(wanted)
    gravity = windows.mean(axis=1)
    out = np.empty((len(windows), len(wanted)), dtype=np.float32)
    if plan.statistics:
        signals = _signals(windows, gravity, plan.signals)  # (S, B, T)
        centred = signals - signals.mean(axis=2, keepdims=True)
        spread = np.sqrt(np.mean(centred**2, axis=2))
        spectra = _spectra(centred, rate_hz) if plan.spectral else None
        for statistic, columns, rows in plan.statistics:
            values = STATISTICS[statistic](Block(signals[rows], centred[rows], spread[rows], spectra, rows, rate_hz))
            out[:, columns] = values.T
    for name, column in plan.others:
        if name == "tilt.cos":
            length = np.linalg.norm(gravity, axis=1)
            out[:, column] = np.where(length > GRAVITY_MIN, (gravity * up).sum(axis=1) / np.maximum(length, TINY), 0.0)
        else:
            first, second = PAIRS[name]
            out[:, column] = _correlation(windows[..., first], windows[..., second])
    return np.nan_to_num(out, nan=0.0, posinf=1e6, neginf=-1e6)


class Block(NamedTuple):
    """What a statistic may use of its signals (S', B, T): raw, centred, standard deviation (S', B), spectra of all."""

    signals: Singles
    centred: Singles
    spread: Singles
    spectra: Spectra | None
    rows: list[int]
    rate_hz: float


class Plan(NamedTuple):
    signals: list[str]
    statistics: list[tuple[str, list[int], list[int]]]  # statistic, columns of the result, rows of the signals
    others: list[tuple[str, int]]
    spectral: bool


_plans: dict[tuple[str, ...], Plan] = {}


def _plan(wanted: Sequence[str]) -> Plan:
    """Groups the wanted features by statistic, so that each is computed once for all its signals."""
    key = tuple(wanted)
    if key not in _plans:
        groups: dict[str, list[tuple[int, str]]] = {}
        others = []
        for column, name in enumerate(key):
            signal, _, statistic = name.partition(".")
            if name in PAIRS or name == "tilt.cos":
                others.append((name, column))
            elif signal in SIGNALS and statistic in STATISTICS:
                groups.setdefault(statistic, []).append((column, signal))
            else:
                raise ValueError(f"there is no feature {name!r}")
        used = [s for s in SIGNALS if any(s == signal for group in groups.values() for _, signal in group)]
        statistics = [
            (statistic, [column for column, _ in group], [used.index(signal) for _, signal in group])
            for statistic, group in groups.items()
        ]
        _plans[key] = Plan(used, statistics, others, any(statistic in SPECTRAL for statistic in groups))
    return _plans[key]


def _signals(windows: Singles, gravity: Singles, wanted: list[str]) -> Singles:
    """The wanted signals (S, B, T)."""
    made: dict[str, Singles] = {axis: windows[..., i] for i, axis in enumerate("xyz") if axis in wanted}
    if "m" in wanted:
        made["m"] = np.sqrt(np.einsum("btc,btc->bt", windows, windows))
    if {"v", "h", "a", "b"} & set(wanted):
        length = np.linalg.norm(gravity, axis=1, keepdims=True)
        down = np.where(length > GRAVITY_MIN, gravity / np.maximum(length, TINY), np.array([0, 0, 1], np.float32))
        made["v"] = np.einsum("btc,bc->bt", windows, down)
        rest = windows - made["v"][..., None] * down[:, None, :]
        made["h"] = np.sqrt(np.einsum("btc,btc->bt", rest, rest))
        if {"a", "b"} & set(wanted):
            made["a"], made["b"] = _principal(rest, down)
    return np.stack([made[signal] for signal in wanted])


def _principal(rest: Singles, down: Singles) -> tuple[Singles, Singles]:
    """The horizontal `rest` (B, T, 3) along its directions of greatest and least spread; signs by their skewness."""
    # Two axes that span the horizontal plane: the least aligned coordinate axis gives the first.
    helper = np.eye(3, dtype=np.float32)[np.abs(down).argmin(axis=1)]
    first = np.cross(down, helper)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), TINY)
    second = np.cross(down, first)
    p, q = np.einsum("btc,bc->bt", rest, first), np.einsum("btc,bc->bt", rest, second)
    p, q = p - p.mean(axis=1, keepdims=True), q - q.mean(axis=1, keepdims=True)
    angle = 0.5 * np.arctan2(2 * (p * q).mean(axis=1), (p * p).mean(axis=1) - (q * q).mean(axis=1))
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along, across = cos * p + sin * q, cos * q - sin * p
    return _right_skewed(along), _right_skewed(across)


def _right_skewed(signal: Singles) -> Singles:
    """`signal` (B, T), turned over where its skewness is negative."""
    return signal * np.where((signal**3).sum(axis=1, keepdims=True) < 0, -1, 1).astype(np.float32)


def _spectra(centred: Singles, rate_hz: float) -> Spectra:
    n = centred.shape[2]
    taper = np.hanning(n).astype(np.float32)
    scale = np.float32((taper**2).sum() * rate_hz)
    power = np.abs(np.fft.rfft(centred * taper, axis=2)).astype(np.float32) ** 2 / scale
    padded = np.abs(np.fft.rfft(centred, n=2 * n, axis=2)) ** 2
    correlation: Singles = np.fft.irfft(padded, axis=2)[..., :n].astype(np.float32)
    # Unbiased: each lag has n − lag products, so that a steady rhythm has a peak of 1 at any lag.
    correlation *= (n / np.arange(n, 0, -1)).astype(np.float32)
    correlation /= np.maximum(correlation[..., :1], np.float32(TINY))
    frequency = np.asarray(np.fft.rfftfreq(n, 1 / rate_hz), dtype=np.float64)
    return Spectra(power, frequency, correlation)


def _correlation(first: Singles, second: Singles) -> Singles:
    p, q = first - first.mean(axis=1, keepdims=True), second - second.mean(axis=1, keepdims=True)
    scale = np.sqrt((p * p).sum(axis=1) * (q * q).sum(axis=1))
    return np.asarray((p * q).sum(axis=1) / np.maximum(scale, TINY), dtype=np.float32)


def _quantile(q: float) -> Callable[[Block], Singles]:
    return lambda block: np.quantile(block.signals, q, axis=2).astype(np.float32)


def _iqr(block: Block) -> Singles:
    low, high = np.quantile(block.signals, (0.25, 0.75), axis=2)
    return np.asarray(high - low, dtype=np.float32)


def _moment(order: int) -> Callable[[Block], Singles]:
    return lambda block: np.mean(block.centred**order, axis=2) / np.maximum(block.spread, 1e-3) ** order


def _dominant(block: Block) -> Singles:
    assert block.spectra is not None
    heard = block.spectra.frequency >= BANDS_HZ[0][0]
    loudest = block.spectra.power[block.rows][..., heard].argmax(axis=2)
    return np.asarray(block.spectra.frequency[heard][loudest], dtype=np.float32)


def _rhythm(block: Block) -> tuple[Singles, Singles]:
    assert block.spectra is not None
    begin, stop = (round(lag * block.rate_hz) for lag in LAGS_S)
    lags = block.spectra.autocorrelation[block.rows][..., begin : stop + 1]
    at = lags.argmax(axis=2)
    return np.take_along_axis(lags, at[..., None], axis=2)[..., 0], ((at + begin) / block.rate_hz).astype(np.float32)


def _band(low: float, high: float) -> Callable[[Block], Singles]:
    def power(block: Block) -> Singles:
        assert block.spectra is not None
        frequency = block.spectra.frequency
        inside = (frequency >= low) & (frequency < high)
        total = block.spectra.power[block.rows][..., inside].sum(axis=2) * (frequency[1] - frequency[0])
        return np.asarray(np.log10(np.maximum(total, 1e-5)), dtype=np.float32)

    return power


STATISTICS: dict[str, Callable[[Block], Singles]] = {
    "mean": lambda block: block.signals.mean(axis=2),
    "std": lambda block: block.spread,
    "min": lambda block: block.signals.min(axis=2),
    "max": lambda block: block.signals.max(axis=2),
    **{name: _quantile(q) for name, q in QUANTILES.items()},
    "iqr": _iqr,
    "skew": _moment(3),
    "kurt": _moment(4),
    "jerk": lambda block: np.abs(np.diff(block.signals, axis=2)).mean(axis=2) * np.float32(block.rate_hz),
    "freq": _dominant,
    "peak": lambda block: _rhythm(block)[0],
    "lag": lambda block: _rhythm(block)[1],
    **{f"e{i}": _band(low, high) for i, (low, high) in enumerate(BANDS_HZ, 1)},
}
SPECTRAL = {"freq", "peak", "lag", "e1", "e2", "e3", "e4", "e5"}
