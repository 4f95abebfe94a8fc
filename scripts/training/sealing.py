"""A trained model → a bundle without figures: saved, compiled, with all that is fitted to people not trained on."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from msgspec import structs
from rich.console import Console

from hard.model import bundle, leakage
from hard.model.bundle import FORMAT, Manifest, StatesSpec, Training, WindowSpec
from hard.model.figures import TrainingMetrics
from training.data import loading
from training.data.dataset import Dataset
from training.data.examples import DrawnExamples, Examples
from training.errors import StoppedError
from training.evaluation.evaluate import fit_states
from training.evaluation.familiarity import fit_familiarity
from training.export import export, int8
from training.loop.trained import Trained
from training.model.setup import ModelSetup
from training.recipe import Recipe
from training.report.console import show_states
from training.results import confidence
from training.results.cross_validation import FoldsReport

AGREEMENT = 1e-4  # between transformers' own forward and the compiled graph, in log probability
PACKAGES = ("torch", "transformers", "sentencepiece", "numpy", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True, eq=False)
class FinetuneRun:
    """Where a fine-tune works: `kept` outlives an interruption, `made` takes bundles. `begun` is of time.monotonic;
    `reports` are the cross-validations that the recipe takes over; `is_fold` says that it is part of one."""

    recipe: Recipe
    console: Console
    reports: dict[Path, FoldsReport]
    precision: str
    reason: str
    kept: Path
    made: Path
    begun: float
    is_fold: bool = False

    @property
    def crossed(self) -> FoldsReport | None:
        """The one by subject."""
        return next((report for report in self.reports.values() if report.by == "subject"), None)

    def deadline(self, share: float) -> float | None:
        """When `share` of the time limit has passed."""
        limit = self.recipe.time_limit
        return None if limit is None else self.begun + 60 * limit * share


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained model, the examples it learnt from and was validated on (where there were none, some it learnt from),
    what the training came to, and the bundle's folder, which holds the tokenizer so far."""

    setup: ModelSetup
    learnt: DrawnExamples
    shown: Examples
    trained: Trained
    folder: Path


def seal(this_run: FinetuneRun, dataset: Dataset, fitted: Fitted, first: bundle.Bundle | None = None) -> bundle.Bundle:
    """Saves the trained model beside its tokenizer and compiles it, in fp32 and in int8. Temperature, states and
    familiarity are fitted and the cost of int8 is measured on the validation subjects; a refit has none and takes all
    from the `first` bundle. Raises StoppedError."""
    recipe, setup, folder = this_run.recipe, fitted.setup, fitted.folder
    setup.model.cpu().float().eval().save_pretrained(folder)
    compiled = (setup.model, setup.tree, setup.encoder.length)
    export.export(*compiled, folder / bundle.GRAPHS["fp32"])
    int8.write(*compiled, fitted.learnt.examples, folder)
    scores, apart = export.compare(setup.model, setup.tree, folder / bundle.GRAPHS["fp32"], fitted.shown)
    if not apart <= AGREEMENT:
        raise StoppedError(
            f"the compiled scorer is {apart:.1e} away from transformers' own forward, over {AGREEMENT:g}: this "
            "version of transformers computes T5 otherwise than scripts/training/export/export.py"
        )
    temperature = first.manifest.temperature if first else confidence.fit_temperature(scores, fitted.shown.label)
    known = first.manifest.int8 if first else None
    cost = known or int8.compare(folder, dataset.labels, fitted.shown, scores)
    this_run.console.print(
        f"int8: macro-F1 {cost.macro_f1:.4f}, fp32 {cost.macro_f1_fp32:.4f}; {cost.speed:.2f} times as fast",
        highlight=False,
    )
    up, forward = (tuple(axis.tolist()) for axis in (dataset.default_mounting.up, dataset.default_mounting.forward))
    made = bundle.write(
        folder,
        Manifest(
            format=FORMAT,
            name=recipe.name,
            labels=dataset.labels,
            window=WindowSpec(recipe.length_s, recipe.rate_hz),
            prompt=setup.spec,
            up=up,
            forward=forward,
            temperature=temperature,
            training=_training(this_run, dataset, fitted.trained, first),
            precision="int8" if int8.is_served(cost) else "fp32",
            int8=cost,
        ),
    )
    known_states = first.manifest.states if first else _states(this_run, dataset, made)
    familiar = fit_familiarity(made, dataset, recipe, first)
    return bundle.write(folder, structs.replace(made.manifest, states=known_states, familiarity=familiar))


def _states(this_run: FinetuneRun, dataset: Dataset, made: bundle.Bundle) -> StatesSpec | None:
    """How states go on: by the people of a cross-validation, else by the validation subjects; where these are no people
    of their own, as in the bundle that is adapted, if it has the same labels."""
    recipe, crossed = this_run.recipe, this_run.crossed
    if crossed is not None and crossed.states is not None:
        return crossed.states
    sequences = dataset.sequences.of(dataset.split.validation)
    if not len(sequences):
        base = recipe.base_bundle
        return base.manifest.states if base and base.manifest.labels == made.manifest.labels else None
    found = fit_states(made, sequences, recipe.hop_s)
    show_states(this_run.console, found)
    return found.states


def _training(this_run: FinetuneRun, dataset: Dataset, trained: Trained, first: bundle.Bundle | None) -> Training:
    """Where the weights come from. After a refit the validation subjects are those of the `first` bundle: they chose
    the epoch all the same."""
    recipe, base = this_run.recipe, this_run.recipe.base_bundle
    learnt = dataset.labelled.of(dataset.split.train).truth
    subjects = dataset.split.parts()
    if first:
        subjects["validation"] = first.manifest.training.subjects["validation"]
    return Training(
        command=recipe.command,
        base=base.model if base else Path(recipe.base).name if Path(recipe.base).is_dir() else recipe.base,
        data=", ".join(path.name for path in recipe.data),
        digests=leakage.digests(loading.files(recipe.data)),
        subjects=subjects,
        split=dataset.split.kind,
        seen_before=dataset.split.seen_before,
        without_gravity=dataset.without_gravity,
        seed=recipe.seed,
        precision=f"{this_run.precision} ({this_run.reason})",
        versions={"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        metrics=TrainingMetrics(),
        epochs=trained.epochs,
        refit=first is not None,
        windows={label: int((learnt == label).sum()) for label in dataset.labels},
        adapted_from=structs.replace(base.manifest.training, metrics=TrainingMetrics()) if base else None,
    )
