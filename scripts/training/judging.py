"""A bundle and labelled windows → predictions as they would be served. Knows no training."""

from __future__ import annotations

from hard.model.classifier import Classifier
from hard.records import Prediction
from training.data import Labelled

BATCH = 256


def classify(classifier: Classifier, labelled: Labelled) -> list[Prediction]:
    """A prediction for every window, in batches that bound the memory; the bundle's mounting where none was shown."""
    windows = labelled.under(classifier.bundle.usual()).windows
    found: list[Prediction] = []
    for i in range(0, len(windows), BATCH):
        found += classifier.classify(windows[i : i + BATCH])
    return found
