"""One fine-tune from end to end: recordings → split → examples → training → bundle → score on people never seen."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from msgspec import structs
from rich.console import Console
from transformers import set_seed

from hard.model import bundle, leakage
from hard.model.bundle import FORMAT, Manifest, StatesSpec, Training, WindowSpec
from hard.model.figures import TrainingMetrics
from training import resume
from training.data import dataset as datasets
from training.data import loading
from training.data.dataset import Dataset
from training.data.examples import DrawnExamples, Examples
from training.errors import RefusedError, StoppedError
from training.evaluation.evaluate import fit_states, judge, macro_f1_by_rate
from training.evaluation.familiarity import fit_familiarity
from training.evaluation.perturbations import least_rate
from training.export import export, int8
from training.loop.guards import choose_precision
from training.loop.trained import Trained
from training.loop.trainer import train
from training.model.setup import ModelSetup, examples_of, set_up, training_examples
from training.recipe import Recipe
from training.report.console import show_base, show_data, show_metrics, show_rejected, show_score, show_states
from training.report.markdown import marked
from training.report.report import bundle_metrics, write_bundle
from training.results import acceptance, confidence
from training.results.cross_validation import FoldsReport
from training.results.outcome import Trial

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


def run(recipe: Recipe, console: Console, keep: Path | None = None) -> bundle.Bundle:
    """Makes the bundle at `recipe.out`; nothing is left there when it fails. Raises RefusedError or StoppedError.

    `keep` takes the trial. What an interrupted run has reached lies in the work folder beside it, for `recipe.resume`.
    """
    begun = time.monotonic()
    reports = resume.read_crossed(recipe)
    precision, reason = choose_precision(recipe.precision)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    _check_out(recipe.out)
    kept = resume.begin(recipe)
    try:
        dataset = _prepare(recipe, console)
        console.print(f"precision {precision}: {reason}")
        with tempfile.TemporaryDirectory(prefix="hard-finetune-") as folder:
            this_run = FinetuneRun(
                recipe, console, reports, precision, reason, kept, Path(folder), begun, keep is not None
            )
            made, trial = make(this_run, dataset)
            if keep is not None:
                trial.save(keep)
            shutil.rmtree(recipe.out, ignore_errors=True)
            recipe.out.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(made, recipe.out, copy_function=shutil.copyfile)  # readable as the umask lets it be
    except (RefusedError, StoppedError):
        shutil.rmtree(kept)  # resumed, it would fail again
        raise
    shutil.rmtree(kept)
    console.print(f"wrote {recipe.out}")
    return bundle.read(recipe.out)


def make(this_run: FinetuneRun, dataset: Dataset) -> tuple[Path, Trial]:
    """Trains, seals and judges; gives the bundle's folder and the trial.

    With `recipe.refit` a second model then learns from the validation subjects too, under the first's temperature, for
    as many epochs as the folds of its cross-validation found best at the median, or else the first. The validation
    figures stay the first's, the test figures are the second's; with no subject to test on, there are figures on those
    it learnt from, so that the weights can be checked.
    """
    recipe = this_run.recipe
    fitted = fit(this_run, dataset, "first", share=0.5 if recipe.refit else 1.0)
    sealed = seal(this_run, dataset, fitted)
    # No baselines beside a refit: they learn from the training subjects alone, so they would be at a disadvantage.
    on, beside = (("validation",), False) if recipe.refit else (("validation", "test"), recipe.baselines)
    trial = _judge(this_run, dataset, fitted, sealed, on=on, beside=beside)
    acceptance.check(trial, "validation")
    trial = replace(trial, history=fitted.trained.history)
    by_rate = _by_rate(this_run, dataset, trial.last, sealed)
    if recipe.refit:
        this_run.console.print("once more, from the validation subjects too", highlight=False)
        everyone = dataset.all_learnt(recipe)
        fitted = fit(this_run, everyone, "refit", epochs=_epochs(this_run.crossed, fitted))
        sealed = seal(this_run, everyone, fitted, first=sealed)
        part = "test" if everyone.split.test else "train"
        again = _judge(this_run, everyone, fitted, sealed, on=(part,), beside=False)
        acceptance.check(again, part)
        both = trial.parts | again.parts
        if part == "test":
            trial = replace(again, parts=both, history=trial.history)
        else:  # samples of people whom the model has seen show nothing
            trial = replace(trial, parts=both, out_of_distribution=again.out_of_distribution)
    metrics = structs.replace(bundle_metrics(trial, this_run.reports.values()), macro_f1_by_rate=by_rate)
    sealed = replace(sealed, manifest=structs.replace(sealed.manifest, least_rate_hz=least_rate(by_rate)))
    show_metrics(this_run.console, metrics)
    crossed = next((folder for folder, report in this_run.reports.items() if report.by == "subject"), None)
    write_bundle(sealed, trial, metrics, dataset.split, crossed)
    return sealed.path, trial


def fit(
    this_run: FinetuneRun, dataset: Dataset, name: str, *, share: float = 1.0, epochs: float | None = None
) -> Fitted:
    """Trains a model, or goes on where this training, known by `name`, was interrupted; by `share` of the time limit.

    With no subject to validate on, for `epochs`. Raises RefusedError and StoppedError.
    """
    recipe, kept_in, made_in = this_run.recipe, this_run.kept / name, this_run.made / name
    made_in.mkdir()
    set_seed(recipe.seed)
    setup, features = set_up(recipe, dataset, made_in)
    examples = training_examples(recipe, dataset, setup, features)
    # Without validation subjects, one subject's windows are enough to hold the compiled scorer against the model.
    shown_from = dataset.split.validation or dataset.split.train[:1]
    shown = examples_of(recipe, dataset, setup, dataset.labelled.of(shown_from).of_one_label)
    this_run.console.print(
        f"{sum(p.numel() for p in setup.model.parameters()):,} parameters, {len(examples.examples)} examples, "
        f"{len(examples)} drawn an epoch, prompts of {examples.examples.longest} tokens at most: "
        f"{setup.encoder.render(features[:1])[0]}",
        highlight=False,
        markup=False,
    )
    trained = resume.finished(kept_in, setup.model)
    if trained is None:
        trained = train(
            setup.model,
            setup.tokenizer,
            examples=(examples, shown if dataset.split.validation else None),
            labels=dataset.labels,
            recipe=recipe,
            precision=this_run.precision,
            folder=kept_in,
            begins_able=recipe.base_bundle is not None,
            epochs=epochs,
            deadline=this_run.deadline(share),
            resume_from=resume.last_checkpoint(kept_in),
        )
        resume.finish(kept_in, setup.model, trained)
    if trained.out_of_time:
        this_run.console.print(
            f"the time limit of {recipe.time_limit:g} min ended training after {trained.passed:.3g} of {recipe.epochs} "
            f"epochs; kept are the weights after {trained.epochs:.3g}",
            highlight=False,
        )
    return Fitted(setup, examples, shown, trained, made_in)


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
            gait_amplitude_ms2=dataset.default_mounting.gait_amplitude_ms2,
            temperature=temperature,
            training=_training(this_run, dataset, fitted.trained, first),
            precision="int8" if int8.is_served(cost) else "fp32",
            int8=cost,
        ),
    )
    known_states = first.manifest.states if first else _states(this_run, dataset, made)
    familiar = fit_familiarity(made, dataset, recipe, first)
    return bundle.write(folder, structs.replace(made.manifest, states=known_states, familiarity=familiar))


def _prepare(recipe: Recipe, console: Console) -> Dataset:
    """Reads the recordings and shows what there is. Raises RefusedError."""
    runs, rejected = loading.load(recipe.data, recipe.source, drop=False)
    show_rejected(console, rejected)
    dropped = datasets.dropped_windows(recipe, runs)
    runs = loading.without(runs, recipe.source.drop)
    windows = datasets.split_windows(recipe, runs)
    show_data(console, runs, windows)
    if recipe.base_bundle is not None:
        show_base(console, recipe.base_bundle, windows)
    dataset = datasets.prepare(recipe, runs, windows)
    if dropped is None:
        return dataset
    return replace(dataset, dropped=dropped.with_default_mounting(dataset.default_mounting))


def _judge(
    this_run: FinetuneRun, dataset: Dataset, fitted: Fitted, sealed: bundle.Bundle, *, on: tuple[str, ...], beside: bool
) -> Trial:
    """The trial of a sealed bundle on some parts, with baselines `beside` it where that is wanted; shows the scores."""

    def done(name: str) -> None:
        this_run.console.print(f"baseline {name}: done")

    trial = judge(sealed, fitted.setup, this_run.recipe, dataset, on=on, baselines_done=done if beside else None)
    for part, outcome in trial.parts.items():
        show_score(this_run.console, marked(f"{part} subjects", dataset.split.mark(part)), outcome.score)
    return trial


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


def _by_rate(
    this_run: FinetuneRun, dataset: Dataset, part: str, sealed: bundle.Bundle
) -> tuple[tuple[float, float], ...]:
    """macro-F1 of the people of `part` by sample rate; empty in a fold, and where the split isn't by subject."""
    people = dataset.split.groups()[part]
    runs = [run for run in dataset.judged if run.subject in people]
    if this_run.is_fold or not runs:
        return ()
    return macro_f1_by_rate(sealed, runs, this_run.recipe.hop_s)


def _epochs(crossed: FoldsReport | None, first: Fitted) -> float:
    """How long a refit learns. The folds know better than the few who validate the first fit."""
    if crossed is None:
        return first.trained.epochs
    return float(median(fold.epoch for fold in crossed.folds if fold.epoch))


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


def _check_out(out: Path) -> None:
    """Raises RefusedError where `out` holds something that is no bundle."""
    if out.exists() and not (out.is_dir() and ((out / bundle.MANIFEST).exists() or not any(out.iterdir()))):
        raise RefusedError(f"{out} exists and is no bundle: choose another --out")
