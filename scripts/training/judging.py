"""A bundle and labelled windows → predictions as they would be served, and figures. Knows no training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hard.model.classifier import Backend, Classifier, load
from hard.records import Prediction
from hard.scores import score
from training import data, report
from training.calibrate import calibration_error
from training.data import Labelled
from training.guards import RefusedError

BATCH = 256


def classify(classifier: Classifier, labelled: Labelled) -> list[Prediction]:
    """A prediction for every window, in batches that bound the memory; the bundle's mounting where none was shown."""
    windows = labelled.under(classifier.bundle.usual()).windows
    found: list[Prediction] = []
    for i in range(0, len(windows), BATCH):
        found += classifier.classify(windows[i : i + BATCH])
    return found


def metrics_of(predictions: Sequence[Prediction], truth: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro-F1, F1 by label and by subject, calibration error: what the manifest and the card carry."""
    result = score(truth, [p.label for p in predictions], labels)
    right = np.array([p.label == t for p, t in zip(predictions, truth, strict=True)])
    by_subject: dict[str, float] = {}
    for subject in dict.fromkeys(p.window.device for p in predictions):
        pairs = [(t, p.label) for t, p in zip(truth, predictions, strict=True) if p.window.device == subject]
        by_subject[subject] = score([t for t, _ in pairs], [label for _, label in pairs], labels).macro_f1
    return {
        "windows": result.count,
        "accuracy": round(result.accuracy, 4),
        "macro_f1": round(result.macro_f1, 4),
        "f1": {label: round(f1, 4) for label, f1 in zip(result.truths, result.f1, strict=True)},
        "macro_f1_by_subject": {subject: round(f1, 4) for subject, f1 in by_subject.items()},
        "calibration_error": round(calibration_error(np.array([p.confidence for p in predictions]), right), 4),
    }


def evaluate(
    path: Path,
    files: Sequence[Path],
    *,
    subjects: Sequence[str] | None,
    backend: Backend,
    hop_s: float,
    source: tuple[str | None, float | None, str],
) -> None:
    """Prints the scores of the bundle at `path` on `files`; `source` is time unit, rate and unit of the recordings.

    Says so where a subject was trained on. Raises BundleError and RefusedError.
    """
    console = Console(soft_wrap=True)
    classifier = load(str(path), backend)
    manifest = classifier.bundle.manifest
    runs, _ = data.load(files, *source)
    present = list(dict.fromkeys(run.subject for run in runs))
    wanted = present if subjects is None else list(subjects)
    if unknown := [subject for subject in wanted if subject not in present]:
        raise RefusedError(f"subject {unknown[0]!r} is not in the data; there are {', '.join(present)}")
    labelled = data.cut([run for run in runs if run.subject in wanted], classifier.bundle.grid(hop_s=hop_s))
    predictions, truth = classify(classifier, labelled), labelled.truth.tolist()
    result = score(truth, [p.label for p in predictions], classifier.labels)
    report.show_score(console, f"{classifier.bundle.model} by {backend}", result)
    report.show_figures(console, metrics_of(predictions, truth, classifier.labels))
    same = {file.name for file in files} & set(manifest.training.data.split(", "))
    if same and (known := sorted(set(wanted) & set(manifest.training.subjects["train"]))):
        console.print(
            f"LEAKY: this bundle was trained on the subjects {', '.join(known)}; the figures say nothing about others"
        )
