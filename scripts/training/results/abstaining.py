"""Confidences → how many windows a threshold accepts, how many of those are right, and which one to recommend. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hard.records import Float64Array

THRESHOLDS = np.round(np.arange(0, 1, 0.01), 2)
TARGET = 0.98  # share of right ones among the accepted
LEAST = 0.85  # share of windows that must be accepted
FLOOR = 0.5  # below, a label is rather wrong than right, and input that is no activity gets past
RULE = (
    f"the smallest threshold at which {TARGET:.0%} of the accepted windows of the validation subjects are right, as "
    f"long as {LEAST:.0%} of their windows are accepted; where there is none, the greatest that accepts {LEAST:.0%}; "
    f"never below {FLOOR:g}"
)


class Curve(NamedTuple):
    """At each of THRESHOLDS: the share of windows accepted, and of right ones among them (1 where none is accepted)."""

    coverage: Float64Array
    accuracy: Float64Array


def curve(confidence: Float64Array, right: Any) -> Curve:
    """Coverage and accuracy for `confidence` (N,), accepted when at or above the threshold, and `right` (N,)."""
    accepted = confidence[None, :] >= THRESHOLDS[:, None]
    counts = accepted.sum(axis=1)
    hits = (accepted & np.asarray(right, dtype=bool)).sum(axis=1)
    return Curve(counts / len(confidence), np.where(counts > 0, hits / np.maximum(counts, 1), 1.0))


def recommended(confidence: Float64Array, right: Any) -> float:
    """`labels.min_confidence` by RULE."""
    found = curve(confidence, right)
    affordable = found.coverage >= LEAST
    good = affordable & (found.accuracy >= TARGET)
    return max(FLOOR, float(THRESHOLDS[good][0] if good.any() else THRESHOLDS[affordable][-1]))
