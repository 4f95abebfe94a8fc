"""Pooled encoder output → `familiar`, how much windows resemble what the model learnt from. Pure numpy; fits nothing.

A density ratio: a small network weighs what is known against windows of no known activity, from the pooled output and
its Mahalanobis distance to the nearest label (Lee 2018, "A Simple Unified Framework for Detecting Out-of-Distribution
Samples"). A table of quantiles makes a share of it.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from hard.records import Float32Array, Float64Array

LEAST_DISTANCE = 1e-3  # its logarithm is taken


class FamiliaritySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters for pooled outputs of D numbers, K labels and H hidden units. The byte strings are arrays in
    little-endian single precision (base64 in JSON).

    `whitening` (D, D) makes the spread of a label's pooled outputs equal in all directions, and `means` (K, D) are
    those of the labels after it. `hidden` (D + 2, H) has the weights of pooled output, distance and 1; `output` (H,)
    those of the hidden units. `quantiles` (K, Q) are evenly spaced ones of the network's output on windows of people
    not trained on, by the label that these are given. From `min_familiar` on a window should count as familiar.
    """

    min_familiar: float
    quantiles: tuple[tuple[float, ...], ...]
    whitening: bytes
    means: bytes
    hidden: bytes
    output: bytes


class Familiarity:
    """The network of a spec, for pooled outputs of `width` numbers. Raises ValueError where its parts don't fit."""

    def __init__(self, spec: FamiliaritySpec, width: int) -> None:
        self._whitening = _array(spec.whitening, width, width)
        self._means = _array(spec.means, -1, width)
        self._hidden = _array(spec.hidden, width + 2, -1)
        self._output = _array(spec.output, self._hidden.shape[1])
        self._quantiles = spec.quantiles
        self._shares = np.linspace(0, 1, len(spec.quantiles[0])) if spec.quantiles else np.empty(0)

    def of(self, pooled: Float32Array, label: NDArray[np.intp]) -> Float64Array:
        """`familiar` (B,) of pooled outputs (B, D) and the labels (B,) that are given for them: of known windows of new
        people with that label the share that is less familiar."""
        evidence = self.evidence(pooled)
        familiar = np.empty(len(evidence))
        for k in np.unique(label):
            rows = label == k
            familiar[rows] = np.interp(evidence[rows], self._quantiles[k], self._shares)
        return familiar

    def evidence(self, pooled: Float32Array) -> Float64Array:
        """The network's output (B,): higher is more familiar, without a unit."""
        inner = with_distance(pooled, self._whitening, self._means) @ self._hidden[:-1] + self._hidden[-1]
        return np.asarray(np.maximum(inner, 0) @ self._output, dtype=np.float64)


def with_distance(pooled: Float32Array, whitening: Float32Array, means: Float32Array) -> Float32Array:
    """Pooled outputs, and behind them the logarithm of the squared distance to the nearest of `means` (K, D) after
    `whitening` (D, D): (B, D + 1)."""
    white = pooled @ whitening
    squares = (white**2).sum(axis=1)[:, None] - 2 * white @ means.T + (means**2).sum(axis=1)
    nearest = np.log(np.maximum(squares.min(axis=1), LEAST_DISTANCE))
    return np.concatenate([pooled, nearest[:, None]], axis=1)


def packed(array: Float32Array | Float64Array) -> bytes:
    """An array as a spec holds it."""
    return np.ascontiguousarray(array, dtype="<f4").tobytes()


def problem(spec: FamiliaritySpec, labels: int) -> str | None:
    """What is wrong with a spec for so many labels, or None."""
    lengths = {len(row) for row in spec.quantiles}
    if len(spec.quantiles) != labels or len(lengths) != 1 or lengths == {1}:
        return f"has a familiarity whose quantiles are not at least two for each of {labels} labels"
    if not np.isfinite(spec.quantiles).all() or (np.diff(spec.quantiles) < 0).any():
        return "has a familiarity whose quantiles don't rise"
    if not 0 <= spec.min_familiar <= 1:
        return "has a min_familiar that is not from 0 to 1"
    width = round((len(spec.whitening) / 4) ** 0.5)
    try:
        Familiarity(spec, width)
    except ValueError:
        return "has a familiarity whose arrays don't fit one another"
    return None


def _array(packed: bytes, *shape: int) -> Float32Array:
    array = np.frombuffer(packed, dtype="<f4").reshape(shape)
    if not array.size or not np.isfinite(array).all():
        raise ValueError("an array is empty or has a number that is not finite")
    return array
