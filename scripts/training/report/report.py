"""Outcomes → a report on disk: figures as JSON, a page in Markdown, and PNGs.

Of one fine-tune (into its bundle: manifest, card and pictures), of K folds, or of any bundle's evaluation.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from rich.console import Console

from hard.model import bundle, leakage
from hard.records import Float64Array
from training import resume
from training.data.split import Split
from training.report import console as display
from training.report import markdown, model_card, plots
from training.results.abstaining import THRESHOLDS, curve, recommended
from training.results.outcome import Outcome, Trial, figures, pooled
from training.results.promises import training_figures

REPORT, PAGE = resume.REPORT, "README.md"
OVERLAP = "Windows overlap, so neighbouring windows are not independent: read the figures by subject."


def abstaining(shown: Outcome, threshold: float, source: str, strangers: dict[str, Float64Array]) -> dict[str, Any]:
    """The curve of `shown` at a few thresholds, and what share of `strangers` is accepted at `threshold`."""
    found = curve(shown.confidence, shown.right)
    rows = [int(np.argmin(np.abs(THRESHOLDS - t))) for t in markdown.SHOWN]
    return {
        "min_confidence": threshold,
        "source": source,
        "curve": [
            [float(THRESHOLDS[i]), round(float(found.coverage[i]), 4), round(float(found.accuracy[i]), 4)] for i in rows
        ],
        "no_activity": {
            kind: round(float((confidence >= threshold).mean()), 4) for kind, confidence in strangers.items()
        },
    }


def metrics(trial: Trial) -> dict[str, Any]:
    """What a manifest carries of one fine-tune: figures by part, losses, samples, abstaining, tokens, epoch."""
    told: dict[str, Any] = {part: figures(outcome) for part, outcome in trial.parts.items()}
    shown = trial.parts.get("test", trial.parts.get("validation"))
    chooser = trial.parts.get("validation")
    if shown is not None and chooser is not None:
        threshold = recommended(chooser.confidence, chooser.right)
        told["abstaining"] = abstaining(shown, threshold, markdown.SOURCE_OWN, trial.strangers)
    return {**told, **training_figures(trial), "prompt_tokens": trial.tokens, "epoch": best_epoch(trial)}


def best_epoch(trial: Trial) -> float | None:
    """The epoch with the best validation macro-F1: the one that was kept."""
    met = [(macro_f1, epoch) for epoch, _, _, macro_f1 in trial.history if not math.isnan(macro_f1)]
    return max(met, key=lambda pair: pair[0])[1] if met else None


def of_folds(folder: Path, trial: Trial) -> dict[str, Any]:
    """What a bundle takes over from a cross-validation of its recipe: figures, and the threshold chosen over all folds.

    What input that is no activity gets past the threshold is the bundle's own.
    """
    told = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    del told["plan"]  # the bundle's own
    threshold = told["abstaining"]["min_confidence"]
    own = {kind: round(float((found >= threshold).mean()), 4) for kind, found in trial.strangers.items()}
    return {
        "abstaining": told.pop("abstaining") | {"no_activity": own, "source": markdown.SOURCE_FOLDS},
        "cross_validation": told,
    }


def write_bundle(
    sealed: bundle.Bundle, trial: Trial, parts: Split, console: Console, crossed: Path | None = None
) -> None:
    """Figures, card and pictures into the bundle; those of the cross-validation in `crossed`, where there is one."""
    told = metrics(trial)
    if crossed is not None:
        told |= of_folds(crossed, trial)
    for part in trial.parts:
        display.show_figures(console, told[part])
    display.show_abstaining(console, told["abstaining"])
    manifest = structs.replace(sealed.manifest, training=structs.replace(sealed.manifest.training, metrics=told))
    last = "test" if "test" in trial.parts else "validation"
    threshold = told["abstaining"]["min_confidence"]
    display.show_promises(console, told, trial.parts[last].score.accuracy)
    if crossed is None:
        title = markdown.marked(f"{last} subjects", parts.mark(last))
        plots.draw(sealed.path, trial.parts[last], [trial.history], threshold, title)
    else:
        for picture in plots.ALL:
            shutil.copyfile(crossed / picture, sealed.path / picture)
    (sealed.path / bundle.CARD).write_text(
        model_card.model_card(manifest, bool(trial.history or crossed)), encoding="utf-8"
    )
    bundle.write(sealed.path, manifest)


def write_folds(folder: Path, told: dict[str, Any], trials: Sequence[Trial]) -> None:
    """The cross-validation report: `told` as `folds.summary` gives it, the pictures of all test windows together."""
    tests = pooled([trial.parts["test"] for trial in trials])
    histories, threshold = [trial.history for trial in trials], told["abstaining"]["min_confidence"]
    mark = leakage.SEEN_BEFORE if told["seen_before"] else ""
    plots.draw(folder, tests, histories, threshold, markdown.marked(f"{len(trials)} folds, by subject", mark))
    parts = [
        "# " + markdown.marked(f"Cross-validation: {told['name']}", mark),
        markdown.seen_before(told["seen_before"]),
        f"{len(trials)} folds by subject: every subject is judged once, by a model that never met them. In each fold "
        "other subjects choose the epoch and the temperature. Beside the model what one would use instead: it learnt "
        "from the same windows, copies included; the CNN is the mean of three seeds.",
        f"```sh\n{told['command']}\n```",
        f"Prompts of {told['prompt_tokens']} tokens.",
        "## Folds",
        markdown.folds(told),
        markdown.figures(markdown.marked("All test windows together", mark), told["pooled"]),
        markdown.abstaining(told["abstaining"]),
        markdown.pictures(any(trial.history for trial in trials)),
        OVERLAP,
    ]
    _write(folder, told, parts)


def write_evaluation(
    folder: Path, outcome: Outcome, *, title: str, intro: Sequence[str], warning: str, told: dict[str, Any]
) -> None:
    """One bundle on any data; `warning` is a sentence where the bundle has seen the people, else empty."""
    mark = "LEAKY" if warning else ""
    folder.mkdir(parents=True, exist_ok=True)
    plots.draw(folder, outcome, [], told["abstaining"]["min_confidence"], markdown.marked(title, mark))
    parts = [
        f"# {markdown.marked(title, mark)}",
        f"**{warning}**" if warning else "",
        *intro,
        markdown.figures(markdown.marked("Figures", mark), told["figures"]),
        markdown.baselines("Baselines", told["figures"]),
        markdown.conditions(told["conditions"], markdown.marked("Other phones and placements", mark)),
        markdown.abstaining(told["abstaining"], markdown.marked("Abstaining", mark)),
        markdown.pictures(False),
        OVERLAP,
    ]
    _write(folder, told, parts)


def _write(folder: Path, told: dict[str, Any], parts: Sequence[str]) -> None:
    (folder / REPORT).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / PAGE).write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
