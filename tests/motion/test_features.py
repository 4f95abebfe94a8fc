"""Features: equal to plain scalar references, independent of the device's orientation, always finite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hard.motion.features import BANDS_HZ, CHANNELS, LONG, OTHERS, PAIRS, STATISTICS, Known, extract, names
from hard.records import Float32Array, Float64Array

RATE_HZ = 20.0
UP = np.array([0.0, 1.0, 0.0], dtype=np.float32)
FORWARD = np.array([0.0, 0.0, 1.0], dtype=np.float32)


def walk(seed: int, n: int = 1) -> Float32Array:
    """Windows (n, 80, 3): gravity in some direction, a rhythm and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(80) / RATE_HZ
    gravity = rng.normal(size=(n, 1, 3))
    gravity *= 9.81 / np.linalg.norm(gravity, axis=2, keepdims=True)
    phase = rng.uniform(0, 6, (n, 1, 3))
    movement = rng.uniform(0.5, 3, (n, 1, 3)) * np.sin(2 * np.pi * rng.uniform(1, 2.5, (n, 1, 1)) * t[:, None] + phase)
    return np.asarray(gravity + movement + rng.normal(0, 0.5, (n, 80, 3)), dtype=np.float32)


def extracted(windows: Float32Array, wanted: Sequence[str]) -> Float32Array:
    """Features of `windows` that all have the same mounting."""
    return extract(windows, known(windows), RATE_HZ, wanted)


def known(windows: Float32Array, up: Float32Array = UP, forward: Float32Array = FORWARD) -> Known:
    """A mounting that was learnt, and before each window the same window."""
    n = len(windows)
    return Known(np.tile(up, (n, 1)), np.tile(forward, (n, 1)), np.ones(n, bool), windows)


def feature(name: str, window: Float32Array) -> float:
    return float(extracted(window[None], [name])[0, 0])


def quantile(values: Float64Array, q: float) -> float:
    ordered, at = sorted(values.tolist()), q * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (at - low) * (ordered[high] - ordered[low]))


def autocorrelation(values: Float64Array, lag: int) -> float:
    c = values - values.mean()
    n = len(c)
    return float(sum(c[i] * c[i + lag] for i in range(n - lag)) / (n - lag) / (sum(c * c) / n))


def power(values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Frequencies and power by the plain Fourier sum, with Hann's taper."""
    n = len(values)
    taper = np.array([0.5 - 0.5 * np.cos(2 * np.pi * i / (n - 1)) for i in range(n)])
    c = (values - values.mean()) * taper
    sums = [sum(c[i] * np.exp(-2j * np.pi * k * i / n) for i in range(n)) for k in range(n // 2 + 1)]
    return np.arange(n // 2 + 1) * RATE_HZ / n, np.abs(sums) ** 2 / (sum(taper**2) * RATE_HZ)


def band(values: Float64Array, low: float, high: float) -> float:
    frequency, density = power(values)
    inside = [d for f, d in zip(frequency, density, strict=True) if low <= f < high]
    return float(np.log10(max(sum(inside) * RATE_HZ / len(values), 1e-5)))


def dominant(values: Float64Array) -> float:
    frequency, density = power(values)
    return float(max((d, f) for f, d in zip(frequency, density, strict=True) if f >= 0.4)[1])


REFERENCES: dict[str, Callable[[Float64Array], float]] = {
    "mean": lambda s: sum(s) / len(s),
    "std": lambda s: (sum((v - s.mean()) ** 2 for v in s) / len(s)) ** 0.5,
    "min": min,
    "max": max,
    "q10": lambda s: quantile(s, 0.10),
    "q50": lambda s: quantile(s, 0.50),
    "q90": lambda s: quantile(s, 0.90),
    "iqr": lambda s: quantile(s, 0.75) - quantile(s, 0.25),
    "skew": lambda s: sum((v - s.mean()) ** 3 for v in s) / len(s) / s.std() ** 3,
    "kurt": lambda s: sum((v - s.mean()) ** 4 for v in s) / len(s) / s.std() ** 4,
    "jerk": lambda s: sum(abs(b - a) for a, b in itertools.pairwise(s)) / (len(s) - 1) * RATE_HZ,
    "freq": dominant,
    "peak": lambda s: max(autocorrelation(s, lag) for lag in range(6, 27)),
    "lag": lambda s: max((autocorrelation(s, lag), lag) for lag in range(6, 27))[1] / RATE_HZ,
    **{f"e{i}": lambda s, b=b: band(s, *b) for i, b in enumerate(BANDS_HZ, 1)},
}


def channels(window: Float32Array) -> dict[str, Float64Array]:
    w = window.astype(float)
    down = w.mean(axis=0) / np.linalg.norm(w.mean(axis=0))
    v = w @ down
    rest = w - v[:, None] * down
    return {
        "x": w[:, 0],
        "y": w[:, 1],
        "z": w[:, 2],
        "v": v,
        "h": np.linalg.norm(rest, axis=1),
        "m": np.linalg.norm(w, axis=1),
    }


@pytest.mark.parametrize("statistic", sorted(REFERENCES))
@pytest.mark.parametrize("seed", range(3))
def test_each_statistic_equals_its_definition(statistic: str, seed: int) -> None:
    window = walk(seed)[0]
    for channel, values in channels(window).items():
        expected = REFERENCES[statistic](values)
        assert feature(f"{channel}.{statistic}", window) == pytest.approx(expected, rel=2e-3, abs=2e-3), channel


def body(window: Float32Array) -> dict[str, Float64Array]:
    """Vertical, forward and left acceleration of a window, computed one by one."""
    up = window.mean(axis=0) / np.linalg.norm(window.mean(axis=0))
    forward = FORWARD - (FORWARD @ up) * up
    forward /= np.linalg.norm(forward)
    return {"v": window @ up, "f": window @ forward, "l": window @ np.cross(up, forward)}


def upright(seed: int) -> Float32Array:
    """A window (80, 3) whose gravity is close to UP."""
    window = walk(seed)[0]
    return np.asarray(window - window.mean(axis=0) + np.array([1.0, 9.6, 1.5]), dtype=np.float32)


@pytest.mark.parametrize(("name", "pair"), PAIRS.items())
def test_correlations_equal_numpys(name: str, pair: tuple[str, str]) -> None:
    window = upright(1)
    first, second = (body(window)[channel] for channel in pair)
    assert feature(name, window) == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-3)


@pytest.mark.parametrize("channel", ["v", "f", "l"])
def test_the_channels_of_the_body_are_vertical_forward_and_left(channel: str) -> None:
    window = upright(2)
    assert feature(f"{channel}.q75", window) == pytest.approx(quantile(body(window)[channel], 0.75), abs=1e-3)


def test_on_a_level_thigh_up_stands_in_for_forward() -> None:
    """Sitting: forward points up, so the direction that was up while standing points forward, or back."""
    window = np.tile(np.array([0, 0, 9.81], dtype=np.float32), (80, 1))
    window[:, 1] += np.sin(np.arange(80))
    assert feature("f.std", window) == pytest.approx(np.sin(np.arange(80)).std(), abs=1e-2)
    assert feature("lean.cos", window) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("step_hz", [1.5, 1.9, 2.4])
def test_harmonics_are_those_of_the_stride(step_hz: float) -> None:
    """2 m/s² at the step, 0.5 at the stride, along v; a third of the step's forward, a quarter period later."""
    t = np.arange(80) / RATE_HZ
    window = np.zeros((80, 3), dtype=np.float32)
    window[:, 1] = 9.81 + 2 * np.cos(2 * np.pi * step_hz * t + 0.7) + 0.5 * np.cos(np.pi * step_hz * t)
    window[:, 2] = 2 / 3 * np.cos(2 * np.pi * step_hz * t + 0.7 - np.pi / 2)
    assert feature("step.freq", window) == pytest.approx(step_hz, abs=0.03)
    assert 10 ** feature("v.k2", window) == pytest.approx(2, rel=0.1)
    assert 10 ** feature("v.k1", window) == pytest.approx(0.5, rel=0.15)
    assert 10 ** feature("f.k2", window) == pytest.approx(2 / 3, rel=0.1)
    assert feature("f.c2", window) == pytest.approx(0, abs=0.1)
    assert feature("f.s2", window) == pytest.approx(-1, abs=0.1)


def test_tilt_is_the_cosine_between_gravity_and_up() -> None:
    window = np.tile(np.array([0, 9.81 * np.cos(1.0), 9.81 * np.sin(1.0)], dtype=np.float32), (80, 1))
    assert feature("tilt.cos", window) == pytest.approx(np.cos(1.0), abs=1e-5)


@given(st.integers(0, 2**32))
def test_turning_the_device_and_its_mounting_changes_only_x_y_and_z(seed: int) -> None:
    window = upright(seed)[None]
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    # Which of two nearly equal peaks is the greatest may change with rounding.
    unstable = {"lag", "freq", *(f"{kind}{k}" for kind in "cs" for k in range(7))}
    wanted = [n for n in names() if n.removeprefix(LONG)[0] in "vflhmt" and n.rpartition(".")[2] not in unstable]
    axes = [np.asarray(direction @ turn, dtype=np.float32) for direction in (UP, FORWARD)]
    turned_window = (window @ turn).astype(np.float32)
    turned = extract(turned_window, known(turned_window, *axes), RATE_HZ, wanted)
    np.testing.assert_allclose(turned, extracted(window, wanted), rtol=5e-3, atol=1e-2)


@pytest.mark.parametrize(
    "window",
    [
        np.zeros((80, 3)),
        np.full((80, 3), 9.81),
        np.full((80, 3), -320.0),
        np.tile([320.0, -320.0], 120).reshape(80, 3),
        np.full((80, 3), 1e-30),
        np.where(np.arange(240).reshape(80, 3) == 100, 1e10, 0),
        np.where(np.arange(240).reshape(80, 3) % 2, 3e38, -3e38),
    ],
    ids=["zero", "constant", "least", "hardest", "tiny", "spike", "absurd"],
)
def test_every_feature_is_finite(window: Float64Array) -> None:
    assert np.isfinite(extracted(window[None].astype(np.float32), names())).all()


def test_a_still_device_has_no_rhythm_and_no_spread() -> None:
    still = np.full((80, 3), 5.66, dtype=np.float32)
    for name in ("x.std", "v.std", "h.mean", "v.peak", "vf.corr", "m.jerk", "v.skew"):
        assert feature(name, still) == pytest.approx(0, abs=1e-3), name


@pytest.mark.parametrize("n", [1, 7, 32])
def test_a_row_does_not_depend_on_its_batch(n: int) -> None:
    windows = walk(3, n)
    batch = extracted(windows, names())
    for window, row in zip(windows, batch, strict=True):
        np.testing.assert_allclose(extracted(window[None], names())[0], row, rtol=1e-4, atol=1e-4)


def test_columns_are_in_the_order_of_the_wanted_features() -> None:
    windows, wanted = walk(0, 4), ["tilt.cos", "z.std", "x.mean", "m.e3", "vf.corr", "x.std"]
    batch = extracted(windows, wanted)
    assert batch.shape == (4, 6)
    assert batch.dtype == np.float32
    for i, name in enumerate(wanted):
        np.testing.assert_allclose(batch[:, i], extracted(windows, [name])[:, 0], rtol=1e-5)


def test_an_empty_batch_has_no_rows() -> None:
    assert extracted(np.empty((0, 80, 3), np.float32), names()).shape == (0, len(names()))


def test_each_channel_has_each_statistic() -> None:
    assert len(set(names())) == len(names()) == 2 * (len(CHANNELS) * len(STATISTICS) + len(OTHERS))


def test_long_features_are_those_of_the_window_and_what_came_before() -> None:
    before, windows = walk(1, 5), walk(2, 5)
    both = np.concatenate((before, windows), axis=1)
    wanted = ["v.std", "m.peak", "step.freq", "tilt.cos", "f.e1"]
    found = extract(windows, known(windows)._replace(before=before), RATE_HZ, [*wanted, *(LONG + n for n in wanted)])
    np.testing.assert_array_equal(found[:, :5], extracted(windows, wanted))
    np.testing.assert_allclose(found[:, 5:], extracted(both, wanted), rtol=1e-5)


def test_what_is_not_known_is_nan_and_changes_nothing_else() -> None:
    windows, wanted = walk(3, 3), names()
    every = extracted(windows, wanted)
    before = windows.copy()
    before[1] = np.nan
    some = known(windows)._replace(calibrated=np.array([True, True, False]), before=before)
    found = extract(windows, some, RATE_HZ, wanted)
    long = np.array([name.startswith(LONG) for name in wanted])
    mounted = np.array(
        [name.removeprefix(LONG).partition(".")[0] in ["f", "l", "vf", "vl", "fl", "tilt", "lean"] for name in wanted]
    )
    np.testing.assert_array_equal(np.isnan(found), [0 * long, long, mounted])
    np.testing.assert_allclose(found[~np.isnan(found)], every[~np.isnan(found)], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["w.mean", "x.median", "x", "", "xy.corr.", "tilt"])
def test_an_unknown_feature_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match="there is no feature"):
        extracted(walk(0), ["x.mean", name])
