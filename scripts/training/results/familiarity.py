"""Pooled encoder outputs of known windows and of windows of no known activity → the familiarity of a bundle. Pure.

The network learns from the people whom the model learnt from; its quantiles are those of people whom it didn't.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from hard.model.familiarity import Familiarity, FamiliaritySpec, packed, with_distance
from hard.records import Float32Array, Float64Array
from training.results.confidence import MIN_FAMILIAR

UNITS, EPOCHS, DECAY = 32, 25, 0.1  # of the network
SHOWN = 40_000  # windows an epoch
UNKNOWN_SHARE = 0.45  # of these
RIDGE = 1e-3  # of the mean variance, added to a variance before it is divided by
QUANTILES = 101
LEAST_WINDOWS = 100  # of a label, for quantiles of its own


class Pooled(NamedTuple):
    """Pooled outputs (N, D) of windows, the indices (N,) of the labels that are given to them, and how often each is to
    be learnt from (N,)."""

    outputs: Float32Array
    label: NDArray[np.intp]
    weight: Float64Array


def fit(known: Pooled, truth: NDArray[np.intp], unknown: Pooled, seed: int) -> FamiliaritySpec:
    """The network that tells `known` windows, of the labels with indices `truth` (N,) (-1 where there isn't one), from
    `unknown` ones. Its quantiles are yet to be filled in: see `with_quantiles`."""
    whitening, means = _whitened(known.outputs, truth)
    inputs = [with_distance(part.outputs, whitening, means) for part in (known, unknown)]
    rng = np.random.default_rng(seed)
    drawn = [
        rng.choice(len(part.weight), round(SHOWN * share), p=part.weight / part.weight.sum())
        for part, share in ((known, 1 - UNKNOWN_SHARE), (unknown, UNKNOWN_SHARE))
    ]
    mean, deviation = inputs[0].mean(axis=0), inputs[0].std(axis=0) + 1e-6
    shown = np.concatenate([part[rows] for part, rows in zip(inputs, drawn, strict=True)])
    network = MLPClassifier((UNITS,), alpha=DECAY, max_iter=EPOCHS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit((shown - mean) / deviation, np.repeat([1, 0], list(map(len, drawn))))
    weights = network.coefs_[0] / deviation[:, None]
    return FamiliaritySpec(
        min_familiar=MIN_FAMILIAR,
        quantiles=(),
        whitening=packed(whitening),
        means=packed(means),
        hidden=packed(np.vstack([weights, network.intercepts_[0] - mean @ weights])),
        output=packed(network.coefs_[1][:, 0]),
    )


def with_quantiles(spec: FamiliaritySpec, shown: Pooled, levels: Float64Array) -> FamiliaritySpec:
    """The same with quantiles at `levels` (K, Q) of the windows `shown`; a label of few windows has those of all."""
    evidence = evidence_of(spec, shown.outputs)
    quantiles = []
    for k, row in enumerate(levels):
        own = evidence[shown.label == k]
        found = np.quantile(own if len(own) >= LEAST_WINDOWS else evidence, row)
        quantiles.append(tuple(np.maximum.accumulate(found.round(4)).tolist()))
    return FamiliaritySpec(
        spec.min_familiar, tuple(quantiles), spec.whitening, spec.means, spec.hidden, spec.output
    )  # fmt: skip


def even_levels(labels: int) -> Float64Array:
    """Levels (K, Q) of the quantiles of people whom the model has not learnt from."""
    return np.tile(np.linspace(0, 1, QUANTILES), (labels, 1))


def levels_among(spec: FamiliaritySpec, learnt: Pooled) -> Float64Array:
    """Which quantiles (K, Q) of windows that the model `learnt` from equal those of `spec`: where nobody is left whom a
    model has not learnt from, they stand in for those of new people."""
    evidence = evidence_of(spec, learnt.outputs)
    levels = []
    for k, quantiles in enumerate(spec.quantiles):
        own = evidence[learnt.label == k]
        own = np.sort(own if len(own) >= LEAST_WINDOWS else evidence)
        levels.append(np.searchsorted(own, quantiles) / len(own))
    return np.array(levels)


def evidence_of(spec: FamiliaritySpec, outputs: Float32Array) -> Float64Array:
    """The network's output (N,) for pooled `outputs` (N, D)."""
    return Familiarity(spec, outputs.shape[1]).evidence(outputs)


def _whitened(outputs: Float32Array, truth: NDArray[np.intp]) -> tuple[Float32Array, Float32Array]:
    """What makes the spread within a label equal in all directions (D, D), and the means of the labels after it."""
    groups = [outputs[truth == k].astype(np.float64) for k in np.unique(truth[truth >= 0])]
    groups = [group for group in groups if len(group) > 1] or [outputs.astype(np.float64)]
    spread, axes = np.linalg.eigh(np.mean([np.cov(group.T) for group in groups], axis=0))
    whitening = (axes / np.sqrt(np.maximum(spread, 0) + RIDGE * spread.mean() + 1e-12)).astype(np.float32)
    means = np.stack([group.mean(axis=0) for group in groups]).astype(np.float32) @ whitening
    return whitening, means
