"""Label log probabilities and truths → the temperature that makes confidence match the share of right labels, how well
it does, and the threshold to recommend. Pure. Guo 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hard.model.figures import Abstaining, UnknownActivity
from hard.model.tokens import Ids
from hard.records import Float32Array, Float64Array, Prediction

Right = NDArray[np.bool_]

TEMPERATURES = np.geomspace(0.2, 5.0, 321)
BINS = 15
THRESHOLDS = np.round(np.arange(0, 1, 0.01), 2)
SHOWN = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # thresholds of the coverage table
TARGET = 0.975  # share of right ones among the accepted
LEAST = 0.7  # share of windows that must be accepted
MIN_FAMILIAR = 0.03  # recommended: of known windows of people not trained on 97 % stay
FLOOR = 0.5  # below, a label is rather wrong than right, and input that is no activity is accepted
RULE = (
    f"the smallest threshold at which {TARGET:.1%} of the accepted windows of the validation subjects are right, as "
    f"long as {LEAST:.0%} of their windows are accepted; where there is none, the greatest that accepts {LEAST:.0%}; "
    f"never below {FLOOR:g}; windows that are familiar by less than {MIN_FAMILIAR:g} are not accepted"
)
SOURCE_FOLDS = f"over all folds of the cross-validation: {RULE}"
SOURCE_DATA = f"on these very data, for the bundle recommends none: {RULE}"
SOURCE_BUNDLE = "as the bundle's own report chose it on its validation subjects"


class Certainty(NamedTuple):
    """Of windows: the confidence (N,) of their labels, and how familiar they are (N,), 1 where nothing says it."""

    confidence: Float64Array
    familiar: Float64Array

    @property
    def counted(self) -> Float64Array:
        """The confidence (N,), 0 where a window is not familiar enough to be accepted."""
        return np.where(self.familiar >= MIN_FAMILIAR, self.confidence, 0.0)

    @property
    def both(self) -> Float64Array:
        """The confidence (N,), less in proportion where a window is not familiar enough."""
        return np.asarray(self.confidence * np.minimum(1, self.familiar / MIN_FAMILIAR))


def certainty_of(predictions: Sequence[Prediction]) -> Certainty:
    """The certainty of `predictions` (N)."""
    return Certainty(
        np.array([made.confidence for made in predictions], dtype=np.float64),
        np.array([1.0 if made.familiar is None else made.familiar for made in predictions], dtype=np.float64),
    )


class Curve(NamedTuple):
    """At each of THRESHOLDS: the share of windows accepted, and of right ones among them (1 where none is accepted)."""

    coverage: Float64Array
    accuracy: Float64Array


def probabilities(scores: Float32Array, temperature: float) -> Float64Array:
    """Probabilities (N, K) of log probabilities `scores` (N, K) at a temperature."""
    scaled = np.asarray(scores, dtype=np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def fit_temperature(scores: Float32Array, truth: Ids) -> float:
    """The temperature under which `truth` (N,), indices into K labels, is likeliest.

    1 where every label is right: the likelihood then grows the colder it is, so it has no maximum.
    """
    if (scores.argmax(axis=1) == truth).all():
        return 1.0
    rows = np.arange(len(truth))
    losses = [-np.log(np.maximum(probabilities(scores, t)[rows, truth], 1e-12)).mean() for t in TEMPERATURES]
    return float(round(TEMPERATURES[int(np.argmin(losses))], 4))


def calibration_error(confidence: Float64Array, right: Right) -> float:
    """Expected calibration error: mean distance of confidence (N,) from the share `right` (N,), over equal bins."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    total = 0.0
    for b in np.unique(bins):
        inside = bins == b
        total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return float(total)


def auroc(known: Float64Array, unknown: Float64Array) -> float:
    """How likely a `known` window's confidence is above an `unknown` one's; a tie counts half."""
    ordered = np.sort(unknown)
    below, upto = (np.searchsorted(ordered, known, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(unknown))


def curve(confidence: Float64Array, right: Right) -> Curve:
    """Coverage and accuracy for `confidence` (N,), accepted when at or above the threshold, and `right` (N,)."""
    accepted = confidence[None, :] >= THRESHOLDS[:, None]
    counts = accepted.sum(axis=1)
    hits = (accepted & right).sum(axis=1)
    return Curve(counts / len(confidence), np.where(counts > 0, hits / np.maximum(counts, 1), 1.0))


def recommended(confidence: Float64Array, right: Right) -> float:
    """`labels.min_confidence` by RULE."""
    found = curve(confidence, right)
    affordable = found.coverage >= LEAST
    good = affordable & (found.accuracy >= TARGET)
    return max(FLOOR, float(THRESHOLDS[good][0] if good.any() else THRESHOLDS[affordable][-1]))


def abstaining(
    confidence: Float64Array, right: Right, threshold: float, source: str, no_activity: Mapping[str, Certainty]
) -> Abstaining:
    """The curve of `confidence` (N,) and `right` (N,) at the thresholds SHOWN, and the share accepted at `threshold` of
    input that is no activity, from its certainty by kind."""
    found = curve(confidence, right)
    rows = [int(np.argmin(np.abs(THRESHOLDS - shown))) for shown in SHOWN]
    points = ((float(THRESHOLDS[i]), _rounded(found.coverage[i]), _rounded(found.accuracy[i])) for i in rows)
    return Abstaining(threshold, source, tuple(points), accepted(no_activity, threshold))


def accepted(no_activity: Mapping[str, Certainty], threshold: float) -> dict[str, float]:
    """The share of each kind that is familiar enough and whose confidence reaches the threshold."""
    return {kind: _rounded((found.counted >= threshold).mean()) for kind, found in no_activity.items()}


def unknown(known: Certainty, found: Certainty, threshold: float) -> UnknownActivity:
    """How well `found` windows, of an activity that is no label, are told from `known` ones."""
    return UnknownActivity(
        windows=len(found.confidence),
        auroc=_rounded(auroc(known.confidence, found.confidence)),
        auroc_familiar=_rounded(auroc(known.familiar, found.familiar)),
        auroc_both=_rounded(auroc(known.both, found.both)),
        accepted=_rounded((found.counted >= threshold).mean()),
    )


def joined(parts: Sequence[Certainty]) -> Certainty:
    """All windows of `parts`."""
    return Certainty(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _rounded(share: float) -> float:
    return round(float(share), 4)
