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
LEAST_SHARE = 0.4  # of the median acceleration, that the mean has where gravity is in it; without, it has 0 to 0.2


def check_unit(xyz: Float64Array, path: Path, unit: str, *, stated: bool) -> bool:
    """Whether `xyz` (N, 3) holds gravity, in `unit`.

    Raises UnitError where it fits another unit, and NoGravityError where it holds none, unless the user has `stated`
    the unit and the accelerations are too small in it: then gravity may have been taken out.
    """
    scale = ms2_per(unit)
    finite = xyz[np.isfinite(xyz).all(axis=1)]
    if len(finite) < MIN_RECORDS:
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        median = float(np.median(np.linalg.norm(finite, axis=1)))
        blocks = np.array_split(finite, max(1, len(finite) // BLOCK))
        steady = float(np.median([np.linalg.norm(block.mean(axis=0)) for block in blocks]))
    low, high = MEDIAN_MS2
    has_gravity = steady >= LEAST_SHARE * median
    if has_gravity and low <= median * scale <= high:
        return True
    if stated and (not has_gravity or median * scale < low):
        return False
    least, most = GRAVITY_MS2
    likely = [name for name, ms2 in UNITS.items() if has_gravity and least <= steady * ms2 <= most]
    if likely:
        raise UnitError(path, median, unit=unit, likely_unit=likely[0], stated=stated)
    if not has_gravity or median * scale < low:
        raise NoGravityError(path, median)
    if steady < LEAST_COUNTS:
        return True
    raise UnitError(path, median, unit=unit, likely_unit=_scale_of_counts(steady), stated=True)


def _scale_of_counts(steady: float) -> str:
    """m/s² a count where gravity is `steady` counts: a power of two, as most sensors have it, else as measured."""
    counts = 2.0 ** round(log2(steady))
    return f"{G_MS2 / (counts if abs(steady / counts - 1) < WITHIN else steady):.4g}"
