"""A sealed bundle and the windows of its parts → what it says as it will be served, and what baselines say. Prints.

Writes the figures into the manifest, and the card with its pictures into the folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import structs
from rich.console import Console

from hard.model import bundle
from hard.model.classifier import Classifier
from hard.records import Singles
from training import augment, baselines, card, plots, publish, report, strangers
from training.baselines import Lesson
from training.data import Labelled
from training.examples import features_of
from training.judging import classify
from training.outcome import Epoch, Texts, Trial, outcome_of
from training.recipe import Recipe
from training.split import Split

SAMPLES = 5


def judge(
    sealed: bundle.Bundle,
    recipe: Recipe,
    *,
    labelled: Labelled,
    stretches: Labelled,
    parts: Split,
    history: Sequence[Epoch],
    console: Console,
) -> Trial:
    """The trial of a bundle that was made by `recipe` from these windows; baselines only where there is a test."""
    classifier = Classifier(sealed)
    beside: dict[str, list[Texts]] = {}
    if recipe.baselines and len(labelled.of(parts.test)):
        lessons = lessons_of(recipe, labelled, stretches, parts)
        rules = baselines.Rules(recipe.epochs or 1, recipe.patience, recipe.seed)
        beside = baselines.predict(*lessons, rules, console.print)
    met, outcomes, shown, was = 0, {}, [], []
    for part, others in (("validation", {}), ("test", beside)):
        windows = labelled.of(parts.groups()[part])
        if not len(windows):
            continue
        truth = windows.truth.tolist()
        predictions = classify(classifier, windows)
        outcomes[part] = outcome_of(predictions, truth, classifier.labels, sealed.manifest.temperature, others)
        report.show_score(console, parts.title(f"{part} subjects"), outcomes[part].score)
        rows = np.linspace(0, len(predictions) - 1, SAMPLES).astype(int)
        shown, was = [predictions[i] for i in rows], [truth[i] for i in rows]
        met = max(met, _longest(classifier, windows))
    trial = Trial(outcomes, list(history), met, strangers.confidences(classifier))
    report.show_samples(console, classifier.prompts([p.window for p in shown]), shown, was)
    return trial


def write(sealed: bundle.Bundle, trial: Trial, parts: Split, console: Console, crossed: Path | None = None) -> None:
    """Figures, card and pictures into the bundle; those of the cross-validation in `crossed`, where there is one."""
    metrics = publish.metrics(trial, parts.title)
    if crossed is not None:
        metrics |= publish.of_folds(crossed, trial)
    for part in trial.parts:
        report.show_figures(console, metrics[parts.title(part)])
    report.show_abstaining(console, metrics["abstaining"])
    manifest = structs.replace(sealed.manifest, training=structs.replace(sealed.manifest.training, metrics=metrics))
    last = "test" if "test" in trial.parts else "validation"
    threshold = metrics["abstaining"]["min_confidence"]
    if crossed is None:
        plots.draw(sealed.path, trial.parts[last], [trial.history], threshold, parts.title(f"{last} subjects"))
    else:
        for picture in plots.ALL:
            shutil.copyfile(crossed / picture, sealed.path / picture)
    (sealed.path / bundle.CARD).write_text(card.model_card(manifest, bool(trial.history or crossed)), encoding="utf-8")
    bundle.write(sealed.path, manifest)


def lessons_of(recipe: Recipe, labelled: Labelled, stretches: Labelled, parts: Split) -> tuple[Lesson, Lesson, Lesson]:
    """Windows to learn from, with the very copies that the model learnt from, to validate on, and to test on."""
    learn, validate, test = (labelled.of(groups) for groups in parts.groups().values())
    xyz, truth, features = [learn.xyz], [learn.truth], [_features(recipe, learn)]
    longer, rng = stretches.of(parts.train), np.random.default_rng(recipe.seed)
    for _ in range(recipe.copies or 0):
        xyz.append(augment.augment(longer.xyz, round(recipe.length_s * recipe.rate_hz), rng))
        features.append(features_of(xyz[-1], longer.mounting, recipe.rate_hz, recipe.features))
        truth.append(longer.truth)
    return (
        Lesson(np.concatenate(xyz), np.concatenate(features), np.concatenate(truth)),
        *(Lesson(part.xyz, _features(recipe, part), part.truth) for part in (validate, test)),
    )


def _features(recipe: Recipe, windows: Labelled) -> Singles:
    return features_of(windows.xyz, windows.mounting, recipe.rate_hz, recipe.features)


def _longest(classifier: Classifier, windows: Labelled) -> int:
    """Tokens of the longest of these prompts."""
    manifest = classifier.bundle.manifest
    features = features_of(windows.xyz, windows.mounting, manifest.window.rate_hz, manifest.prompt.features)
    return int(classifier.tokens(features)[0].shape[1])
