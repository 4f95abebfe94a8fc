"""Values of a document (JSON, MessagePack, CBOR, CSV) → numbers, times and names. NaN stands for what is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import inf, isnan, nan

import numpy as np

from hard.records import Float64Array


def number(value: object) -> float:
    """A number, or text that is one."""
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return nan
    try:
        return float(value)
    except ValueError:
        return nan
    except OverflowError:
        return inf


def triples(samples: Iterable[object]) -> Float64Array:
    """Lists of three numbers, or objects with `x`, `y` and `z` → (N, 3)."""
    return np.array([_triple(sample) for sample in samples], dtype=float).reshape(-1, 3)


def _triple(sample: object) -> tuple[float, ...]:
    if isinstance(sample, dict):
        sample = [sample.get(axis) for axis in "xyz"]
    if not isinstance(sample, Sequence) or isinstance(sample, str | bytes) or len(sample) != 3:
        return (nan, nan, nan)
    return tuple(map(number, sample))


def times(values: Sequence[object]) -> tuple[Float64Array, str | None]:
    """Times (N,), and their unit where the values say it: ISO 8601 texts and dates are s since 1970, in UTC where they
    name no zone."""
    numbers = [number(value) for value in values]
    if any(map(isnan, numbers)):
        dates = [_seconds(value) for value in values]
        if not all(map(isnan, dates)):
            return np.array(dates, dtype=float), "s"
    return np.array(numbers, dtype=float), None


def _seconds(value: object) -> float:
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip().upper())
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    return nan


def name(value: object) -> str | None:
    """A device's name: text, or a whole number; None for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
