"""A bundle on labelled windows → what it says to them as it will be served, and the figures that follow.

`judge` is the end of a fine-tune, baselines beside it; `evaluate` takes any bundle and any recordings, without
baselines: they need what the bundle was trained on, which its own card tells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from hard.model import leakage
from hard.model.bundle import Bundle, Manifest
from hard.model.classifier import Backend, Classifier, load
from hard.recordings.default_rules import bundle_devices
from hard.recordings.recordings import Recording
from hard.records import Prediction
from training.data import loading
from training.data.dataset import Dataset
from training.data.examples import Examples
from training.data.loading import Labelled
from training.data.split import Split
from training.errors import RefusedError
from training.evaluation import baselines, out_of_distribution, perturbations
from training.loop.trainer import generated, loss_on
from training.model import extend
from training.model.setup import Learner, examples_of
from training.recipe import Recipe
from training.report import console as display
from training.report import markdown, report
from training.results.abstaining import recommended
from training.results.outcome import Outcome, Sample, Texts, Trial, figures, outcome_of

BATCH = 256


def classify(classifier: Classifier, labelled: Labelled) -> list[Prediction]:
    """A prediction for every window, in batches that bound the memory; the bundle's mounting where none was shown."""
    windows = labelled.under(classifier.bundle.default_mounting()).windows
    found: list[Prediction] = []
    for i in range(0, len(windows), BATCH):
        found += classifier.classify(windows[i : i + BATCH])
    return found


def judge(
    sealed: Bundle,
    learner: Learner,
    recipe: Recipe,
    dataset: Dataset,
    parts: Split,
    *,
    console: Console,
    beside: bool = False,
    on: Sequence[str] = ("validation", "test"),
) -> Trial:
    """The trial of the bundle that `recipe` made of `learner` and `dataset`: what it says to the windows of the parts
    `on`, what the bundle said that it began with, and with `beside` what baselines say to the test. Its history is yet
    to be filled in."""
    classifier = Classifier(sealed)
    others: dict[str, list[Texts]] = {}
    if beside and len(dataset.labelled.of(parts.test)):
        rules = baselines.Rules(recipe.epochs or 1, recipe.patience, recipe.seed)
        others = baselines.predict(*baselines.parts_of(recipe, dataset, parts), rules, console.print)
    base = extend.base_of(recipe)
    longest, test_loss, outcomes, samples = 0, math.nan, {}, []
    for part in on:
        windows = dataset.labelled.of(parts.groups()[part])
        if not len(windows):
            continue
        predictions, examples = classify(classifier, windows), examples_of(recipe, dataset, learner, windows)
        said, truth = dict(others) if part == "test" else {}, windows.truth.tolist()
        if base is not None:
            said = {extend.BEFORE: [np.array([p.label for p in classify(Classifier(base), windows)])], **said}
        outcomes[part] = outcome_of(predictions, truth, classifier.labels, sealed.manifest.temperature, said)
        mark = parts.mark(part)
        display.show_score(console, f"{part} subjects{f' ({mark})' * bool(mark)}", outcomes[part].score)
        longest = max(longest, examples.longest)
        if part == "test":
            test_loss = loss_on(learner.model, learner.tokenizer, examples, recipe.label_smoothing or 0.0)
        samples = _samples(classifier, learner, examples, windows, predictions)
    return Trial(outcomes, [], longest, out_of_distribution.confidences(classifier), test_loss, samples)


def _samples(
    classifier: Classifier,
    learner: Learner,
    examples: Examples,
    windows: Labelled,
    predictions: Sequence[Prediction],
) -> list[Sample]:
    """Of each label the window in the middle."""
    by_label = [np.flatnonzero(windows.truth == label) for label in classifier.labels]
    rows = [int(rows[len(rows) // 2]) for rows in by_label if len(rows)]
    texts = generated(learner.model, learner.tokenizer, examples.__getitems__(rows))
    prompts = classifier.prompts([predictions[row].window for row in rows])
    return [
        Sample(str(windows.truth[row]), predictions[row].label, round(predictions[row].confidence, 4), text, prompt)
        for row, text, prompt in zip(rows, texts, prompts, strict=True)
    ]


def evaluate(
    path: Path,
    files: Sequence[Path],
    *,
    subjects: Sequence[str] | None,
    backend: Backend,
    hop_s: float,
    source: tuple[str | None, float | None, str],
    columns: loading.Pairs = (),
    labels: loading.Pairs = (),
    out: Path | None = None,
    changed: bool = False,
    console: Console | None = None,
) -> Outcome:
    """Prints the scores of the bundle at `path` on `files`, and writes the report to `out`.

    `source` is time unit, rate and unit of the recordings, `columns` and `labels` as `data.load` has
    them. With `changed`, the recordings also as other phones and placements would have given them. Whatever it says
    of a subject who helped to make the bundle it marks as leaky.
    Raises BundleError and RefusedError.
    """
    console = console or Console(soft_wrap=True)
    check_out(out)
    classifier = load(str(path), backend)
    manifest = classifier.bundle.manifest
    runs, rejected = loading.load(files, *source, columns=columns, labels=labels)
    display.show_rejected(console, rejected)
    present = list(dict.fromkeys(run.subject for run in runs))
    wanted = present if subjects is None else list(subjects)
    if unknown := [subject for subject in wanted if subject not in present]:
        raise RefusedError(f"subject {unknown[0]!r} is not in the data; there are {', '.join(present)}")
    runs, grid = [run for run in runs if run.subject in wanted], bundle_devices(classifier.bundle, hop_s).grid

    def outcome_on(runs: list[Recording]) -> Outcome:
        labelled = loading.cut(runs, grid)
        _check_labels(labelled, classifier.labels)
        predictions = classify(classifier, labelled)
        return outcome_of(predictions, labelled.truth.tolist(), classifier.labels, manifest.temperature)

    outcome = outcome_on(runs)
    recordings = loading.files(files)
    seen = leakage.seen_subjects(manifest.training, recordings, wanted)
    told = figures(outcome)
    name = f"{classifier.bundle.model} by {backend}"
    display.show_score(console, f"{name} (LEAKY)" if seen else name, outcome.score)
    display.show_figures(console, told)
    threshold, chosen = _threshold(manifest, outcome)
    abstaining = report.abstaining(outcome, threshold, chosen, out_of_distribution.confidences(classifier))
    display.show_abstaining(console, abstaining)
    reached = {"as recorded": outcome.score.macro_f1}
    for condition, others in perturbations.changed(runs) if changed else ():
        reached[condition] = outcome_on(others).score.macro_f1
    if changed:
        display.show_conditions(console, reached)
    warning = leakage.warning(manifest.training, recordings, wanted)
    if warning:
        console.print(warning)
    if out is not None:
        intro = [
            f"On {', '.join(file.name for file in files)}, subjects {', '.join(wanted)}, a window every {hop_s:g} s. "
            f"Rejected records: {', '.join(f'{n} × {reason}' for reason, n in rejected.most_common()) or 'none'}."
        ]
        report.write_evaluation(
            out,
            outcome,
            title=name,
            intro=intro,
            warning=warning,
            told={
                "seen_before": seen,
                "bundle": classifier.bundle.model,
                "backend": backend,
                "rejected": dict(rejected),
                "figures": told,
                "abstaining": abstaining,
                "conditions": {condition: round(macro_f1, 4) for condition, macro_f1 in reached.items()},
            },
        )
        console.print(f"wrote {out}")
    return outcome


def _check_labels(labelled: Labelled, labels: Sequence[str]) -> None:
    """Raises RefusedError where no truth is one of `labels`: names differ, and every figure would be 0."""
    if not set(labels) & set(names := loading.ordered(labelled.truth)):
        alike = [f"{label}={name}" for label in labels for name in names if label.lower() == name.lower()]
        raise RefusedError(
            f"the recordings' activities ({', '.join(names)}) are none of the bundle's labels ({', '.join(labels)}): "
            f"pair them with --labels {','.join(alike) or f'{labels[0]}=NAME'}"
        )


def check_out(out: Path | None) -> None:
    """Raises RefusedError where `out` holds something else."""
    if out is not None and out.exists() and not (out.is_dir() and _is_report(out)):
        raise RefusedError(f"{out} exists and is no report: choose another --out")


def _is_report(folder: Path) -> bool:
    return (folder / report.REPORT).exists() or not any(folder.iterdir())


def _threshold(manifest: Manifest, outcome: Outcome) -> tuple[float, str]:
    own = manifest.training.metrics.get("abstaining")
    if own:
        return float(own["min_confidence"]), markdown.SOURCE_BUNDLE
    return recommended(outcome.confidence, outcome.right), markdown.SOURCE_DATA
