#!/usr/bin/env python3
"""Fits the parameters of `hard/simulator.py` to a labelled recording and writes `hard/simulator.json`.

    scripts/fit_simulator.py motionsense_50hz_raw.txt.xz

Each prototype is fitted to one run of one subject. In windows of 4 s the stride rate and its Fourier series are found
by least squares; the prototype takes the series of the median window and describes the spread of the others. No model
takes part: the parameters depend on the recordings alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from hard.recordings import recordings
from hard.recordings.recordings import Recording
from hard.records import Float64Array
from hard.simulator import BANDS_HZ, MAX_VARIATION, SYNTHESIS_HZ, Parameters, Prototype

# Where the stride rate (two steps) is looked for. Fit alone can't tell a stride from a step.
STRIDE_HZ = {"Walking": (0.65, 1.2), "Upstairs": (0.55, 1.15), "Downstairs": (0.6, 1.25), "Jogging": (1.0, 1.75)}
HARMONICS = 10
WINDOW = round(4 * SYNTHESIS_HZ)
RUNS = 2  # fitted of each subject and activity: the longest
TO_SD = 1.48  # standard deviation of a normal distribution over its median absolute deviation

Row = tuple[float, float, float]
Factors = tuple[float, float, float, float, float, float]


class Series(NamedTuple):
    """One window's stride rate, coefficients (2, HARMONICS, 3) of cosines and sines, and remainder (WINDOW, 3)."""

    hz: float
    coefficients: Float64Array
    remainder: Float64Array


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="WISDM text or CSV with truth, 50 Hz")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "hard" / "simulator.json")
    parser.add_argument("--source", default="MotionSense (Malekzadeh et al., IoTDI 2019)", help="named in the file")
    args = parser.parse_args()
    runs, _ = recordings.read(args.file)
    prototypes = {
        activity: tuple(
            fit(subject, xyz, STRIDE_HZ.get(activity))
            for subject, found in subjects.items()
            for xyz in sorted(found, key=len, reverse=True)[:RUNS]
        )
        for activity, subjects in sorted(by_activity(runs).items())
    }
    parameters = msgspec.json.encode(Parameters(args.source, prototypes))
    args.out.write_bytes(msgspec.json.format(parameters, indent=0) + b"\n")
    counts = ", ".join(f"{name} {len(fitted)}" for name, fitted in prototypes.items())
    print(f"{args.out}: {counts} prototypes, {args.out.stat().st_size / 1e3:.0f} kB", file=sys.stderr)
    return 0


def by_activity(runs: Iterable[Recording]) -> dict[str, dict[str, list[Float64Array]]]:
    """Accelerations (N, 3) at SYNTHESIS_HZ of each run of one activity that is long enough, by activity and subject."""
    found: dict[str, dict[str, list[Float64Array]]] = {}
    for run in runs:
        if run.truth is not None and len(set(run.truth)) == 1 and len(run.time) >= 2 * WINDOW:
            even = np.arange(run.time[0], run.time[-1], 1 / SYNTHESIS_HZ)
            xyz = np.column_stack([np.interp(even, run.time, axis) for axis in run.xyz.T])
            found.setdefault(str(run.truth[0]), {}).setdefault(run.subject, []).append(xyz)
    return found


def fit(subject: str, xyz: Float64Array, stride_hz: tuple[float, float] | None) -> Prototype:
    """The prototype of one run `xyz` (N, 3) at SYNTHESIS_HZ; without rhythm where `stride_hz` is None."""
    # The ends of a run hold the phone going into the pocket and out of it.
    margin = min(round(2 * SYNTHESIS_HZ), (len(xyz) - WINDOW) // 2)
    xyz = xyz[margin : len(xyz) - margin]
    windows = np.lib.stride_tricks.sliding_window_view(xyz, WINDOW, axis=0)[:: WINDOW // 2].transpose(0, 2, 1)
    means = windows.mean(axis=1)
    if stride_hz is None:
        typical = int(np.argsort(np.linalg.norm(means - np.median(means, axis=0), axis=1))[0])
        return Prototype(
            subject, _row(means[typical]), 0.0, (), (), 0.0, 0.0, remainder(windows - means[:, None], means)
        )
    common = best_stride(windows, np.linspace(*stride_hz, 120))
    fits = [series(w, best_stride(w[None], common * np.linspace(0.93, 1.07, 29))) for w in windows]
    hz, power = np.array([f.hz for f in fits]), np.array([np.sqrt((f.coefficients**2).sum()) for f in fits])
    rest = np.stack([f.remainder for f in fits])
    # The window whose strength is the median, among the better half of the fits.
    good = np.argsort((rest**2).mean(axis=(1, 2)))[: len(fits) // 2 + 1]
    typical = int(good[np.argsort(np.abs(power[good] - np.median(power[good])))[0]])
    cosine, sine = fits[typical].coefficients
    scale = np.median(power) / power[typical]
    return Prototype(
        subject,
        _row(means[typical]),
        round(float(hz[typical]), 4),
        tuple(_row(row) for row in cosine * scale),
        tuple(_row(row) for row in sine * scale),
        round(_spread(hz), 3),
        round(_spread(power), 3),
        remainder(rest, means),
    )


def best_stride(windows: Float64Array, candidates_hz: Float64Array) -> float:
    """The stride rate whose series leaves the smallest remainder of `windows` (B, WINDOW, 3)."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    left = [float(((centred - project(centred, hz)) ** 2).sum()) for hz in candidates_hz.tolist()]
    return float(candidates_hz[int(np.argmin(left))])


def project(centred: Float64Array, hz: float) -> Float64Array:
    """The part of `centred` (B, WINDOW, 3) that the harmonics of `hz` explain."""
    basis, _ = np.linalg.qr(waves(hz))
    return np.asarray(basis @ (basis.T @ centred))


def waves(hz: float) -> Float64Array:
    """Cosines, then sines, of the harmonics of `hz` (WINDOW, 2·HARMONICS)."""
    phase = 2 * np.pi * hz * np.arange(WINDOW)[:, None] / SYNTHESIS_HZ * np.arange(1, HARMONICS + 1)
    return np.concatenate((np.cos(phase), np.sin(phase)), axis=1)


def series(window: Float64Array, hz: float) -> Series:
    """The Fourier series of one window (WINDOW, 3) at the harmonics of `hz`."""
    centred = window - window.mean(axis=0)
    basis = waves(hz)
    coefficients = np.linalg.lstsq(basis, centred, rcond=None)[0]
    return Series(hz, coefficients.reshape(2, HARMONICS, 3), centred - basis @ coefficients)


def remainder(rest: Float64Array, means: Float64Array) -> tuple[Factors, ...]:
    """Cholesky factors of the covariance of `rest` (B, WINDOW, 3), by band. The slowest band includes the variance of
    `means` (B, 3)."""
    spectrum = np.fft.rfft(rest, axis=1, norm="forward")
    hz = np.fft.rfftfreq(rest.shape[1], 1 / SYNTHESIS_HZ)
    factors: list[Factors] = []
    for low, high in pairwise(BANDS_HZ):
        part = spectrum[:, (hz >= low) & (hz < high)]
        covariance = 2 * np.einsum("bfi,bfj->ij", part, part.conj()).real / len(rest)
        if low == 0:
            # Robust: a change of posture within a run is not the sway of one posture.
            covariance += np.diag(np.square(TO_SD * np.median(np.abs(means - np.median(means, axis=0)), axis=0)))
        xx, yx, yy, zx, zy, zz = _rounded(np.linalg.cholesky(covariance + 1e-6 * np.eye(3))[np.tril_indices(3)])
        factors.append((xx, yx, yy, zx, zy, zz))
    return tuple(factors)


def _spread(values: Float64Array) -> float:
    """Robust relative standard deviation, bounded as the synthesis bounds it."""
    middle = np.median(values)
    return float(min(TO_SD * np.median(np.abs(values - middle)) / middle, MAX_VARIATION / 2))


def _row(values: Float64Array) -> Row:
    x, y, z = _rounded(values)
    return x, y, z


def _rounded(values: Float64Array) -> list[float]:
    return [round(float(value), 3) for value in values]


if __name__ == "__main__":
    raise SystemExit(main())
