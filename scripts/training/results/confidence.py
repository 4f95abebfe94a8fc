"""Label log probabilities and truths → the temperature that makes confidence honest, and how honest it is.

Pure. Guo 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

import numpy as np

from hard.model.tokens import Ids
from hard.records import Float32Array, Float64Array

TEMPERATURES = np.geomspace(0.2, 5.0, 321)
BINS = 15


def probabilities(scores: Float32Array, temperature: float) -> Float64Array:
    """Probabilities (N, K) of log probabilities `scores` (N, K) at a temperature."""
    scaled = np.asarray(scores, dtype=np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def fit_temperature(scores: Float32Array, truth: Ids) -> float:
    """The temperature under which `truth` (N,), indices into K labels, is likeliest.

    1 where every label is right: the colder the likelier then, so the likelihood has no maximum and knows nothing.
    """
    if (scores.argmax(axis=1) == truth).all():
        return 1.0
    rows = np.arange(len(truth))
    losses = [-np.log(np.maximum(probabilities(scores, t)[rows, truth], 1e-12)).mean() for t in TEMPERATURES]
    return float(round(TEMPERATURES[int(np.argmin(losses))], 4))


def calibration_error(confidence: Float64Array, right: np.ndarray) -> float:
    """Expected calibration error: mean distance of confidence (N,) from the share `right` (N,), over equal bins."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    total = 0.0
    for b in np.unique(bins):
        inside = bins == b
        total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return float(total)
