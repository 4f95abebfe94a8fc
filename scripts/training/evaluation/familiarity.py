"""A sealed bundle and its dataset → its familiarity, from pooled outputs as the daemon would have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hard.model.bundle import Bundle
from hard.model.classifier import Classifier
from hard.model.familiarity import FamiliaritySpec
from hard.records import Float64Array, Window
from training.data import negatives
from training.data.dataset import Dataset
from training.data.loading import LabelledWindows
from training.recipe import Recipe
from training.results import familiarity
from training.results.familiarity import Pooled

MOST = 20_000  # windows of each kind
NEGATIVES = 6000
BATCH = 256


def fit_familiarity(
    sealed: Bundle, dataset: Dataset, recipe: Recipe, first: Bundle | None = None
) -> FamiliaritySpec | None:
    """The familiarity of a bundle that learnt from the training subjects of `dataset`. Without validation subjects its
    quantiles follow from those of the `first` bundle, which had some; None where there is no such bundle."""
    classifier, rng = Classifier(sealed), np.random.default_rng([recipe.seed, 4])
    learnt = _some(dataset.labelled.of(dataset.split.train), rng)
    known = _pooled(classifier, learnt.windows, learnt.weights)
    index = {label: k for k, label in enumerate(dataset.labels)}
    truth = np.array([index.get(name, -1) for name in learnt.truth.tolist()], dtype=np.intp)
    found = familiarity.fit(known, truth, _unknown(classifier, dataset, learnt, rng), recipe.seed)
    if len(shown := dataset.labelled.of(dataset.split.validation)):
        shown = _some(shown, rng)
        levels = familiarity.even_levels(len(dataset.labels))
        return familiarity.with_quantiles(found, _pooled(classifier, shown.windows, shown.weights), levels)
    if first is None or first.manifest.familiarity is None:
        return None
    groups = first.manifest.training.subjects["train"] if dataset.split.kind == "subject" else ("train",)
    before = _some(dataset.labelled.of(groups), rng)
    levels = familiarity.levels_among(
        first.manifest.familiarity, _pooled(Classifier(first), before.windows, before.weights)
    )
    return familiarity.with_quantiles(found, known, levels)


def _unknown(classifier: Classifier, dataset: Dataset, learnt: LabelledWindows, rng: np.random.Generator) -> Pooled:
    """Windows that are no activity, on devices of `learnt` ones, and as often those of dropped labels."""
    window = classifier.bundle.manifest.window
    both = negatives.windows(NEGATIVES, 2 * window.points, window.rate_hz, rng)
    worn = [learnt.windows[i] for i in rng.integers(len(learnt), size=NEGATIVES)]
    made = [
        replace(one, xyz=xyz[window.points :], before=xyz[: window.points] if len(one.before) else one.before)
        for one, xyz in zip(worn, both, strict=True)
    ]
    parts = [_pooled(classifier, made, np.full(NEGATIVES, 1 / NEGATIVES))]
    if dataset.dropped is not None and len(dropped := dataset.dropped.of(dataset.split.train)):
        dropped = _some(dropped, rng)
        parts.append(_pooled(classifier, dropped.windows, dropped.weights / dropped.weights.sum()))
    return Pooled(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _some(labelled: LabelledWindows, rng: np.random.Generator) -> LabelledWindows:
    """At most MOST of them, in order."""
    if len(labelled) <= MOST:
        return labelled
    return labelled.at(np.sort(rng.choice(len(labelled), MOST, replace=False)))


def _pooled(classifier: Classifier, windows: Sequence[Window], weight: Float64Array) -> Pooled:
    parts = [classifier.pooled(windows[i : i + BATCH]) for i in range(0, len(windows), BATCH)]
    outputs, label = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pooled(outputs, label, weight)
