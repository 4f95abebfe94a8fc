"""Whether a recording's accelerations hold gravity, and in which unit: at rest or in motion, its mean over seconds is
about 9.8 m/s² long. Refuses what does not."""

from __future__ import annotations

from math import log2
from pathlib import Path

import numpy as np

from hard.recordings.tables import NoGravityError, UnitError
from hard.records import Float64Array
from hard.units import G_MS2, UNITS, ms2_per

MEDIAN_MS2 = 3.0, 30.0  # plausible median acceleration of a recording with gravity, whatever the activities
GRAVITY_MS2 = 7.0, 13.0  # what another unit must make of a file to be proposed
MIN_RECORDS = 20  # a shorter file isn't checked
BLOCK = 100  # records whose mean is taken: seconds at usual rates, so that steps cancel out
LEAST_COUNTS = 100.0  # that a sensor makes of 1 g; between, nothing is known for sure
WITHIN = 0.15  # how far from a power of two gravity may lie in raw counts, since sensors are not exact
LEAST_SHARE = 0.3  # of the median acceleration, that the mean has where gravity is in it; without, it has 0 to 0.2


def measure(xyz: Float64Array) -> tuple[float, float]:
    """The median length of `xyz` (N, 3), and how long their mean over seconds is. Gravity is most of both."""
    with np.errstate(over="ignore", invalid="ignore"):
        median = float(np.median(np.linalg.norm(xyz, axis=1)))
        blocks = np.array_split(xyz, max(1, len(xyz) // BLOCK))
        return median, float(np.median([np.linalg.norm(block.mean(axis=0)) for block in blocks]))


def likely_unit(xyz: Float64Array) -> str | None:
    """The unit in which `xyz` (N, 3) holds gravity: a name of UNITS, or how many m/s² a raw count is. None without
    gravity, or where it has no plausible length."""
    median, steady = measure(xyz)
    least, most = GRAVITY_MS2
    if steady < LEAST_SHARE * median:
        return None
    named = next((name for name, ms2 in UNITS.items() if least <= steady * ms2 <= most), None)
    return named or (_scale_of_counts(steady) if steady >= LEAST_COUNTS else None)


def check_unit(xyz: Float64Array, path: Path, unit: str, *, stated: bool) -> bool:
    """Whether `xyz` (N, 3) holds gravity, in `unit`.

    Raises UnitError where it fits another unit, and NoGravityError where it holds none, unless the user has `stated`
    the unit and the accelerations are too small in it: then gravity may have been taken out.
    """
    finite = xyz[np.isfinite(xyz).all(axis=1)]
    if len(finite) < MIN_RECORDS:
        return True
    (median, steady), scale, (low, high) = measure(finite), ms2_per(unit), MEDIAN_MS2
    has_gravity = steady >= LEAST_SHARE * median
    if has_gravity and low <= median * scale <= high:
        return True
    if stated and (not has_gravity or median * scale < low):
        return False
    likely = likely_unit(finite)
    if likely in UNITS:
        raise UnitError(path, median, unit=unit, likely_unit=likely, stated=stated)
    if not has_gravity or median * scale < low:
        raise NoGravityError(path, median)
    if likely is None:
        return True
    raise UnitError(path, median, unit=unit, likely_unit=likely, stated=True)


def _scale_of_counts(steady: float) -> str:
    """m/s² a count where gravity is `steady` counts: a power of two, as most sensors have it, else as measured."""
    counts = 2.0 ** round(log2(steady))
    return f"{G_MS2 / (counts if abs(steady / counts - 1) < WITHIN else steady):.4g}"
