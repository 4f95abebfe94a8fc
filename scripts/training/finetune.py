"""One fine-tune from end to end: recordings → split → examples → training → bundle → score on people never seen."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from msgspec import structs
from rich.console import Console
from transformers import set_seed

from hard.model import bundle
from training import resume
from training.data import dataset as datasets
from training.data import loading
from training.data.dataset import Dataset
from training.errors import RefusedError, StoppedError
from training.evaluation.evaluate import judge, macro_f1_by_rate
from training.evaluation.perturbations import least_rate
from training.loop.guards import choose_precision
from training.loop.trainer import train
from training.model.setup import examples_of, set_up, training_examples
from training.recipe import Recipe
from training.report.console import show_base, show_data, show_metrics, show_rejected, show_score
from training.report.markdown import marked
from training.report.report import bundle_metrics, write_bundle
from training.results import acceptance
from training.results.cross_validation import FoldsReport
from training.results.trial import Trial
from training.sealing import FinetuneRun, Fitted, seal


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


def _check_out(out: Path) -> None:
    """Raises RefusedError where `out` holds something that is no bundle."""
    if out.exists() and not (out.is_dir() and ((out / bundle.MANIFEST).exists() or not any(out.iterdir()))):
        raise RefusedError(f"{out} exists and is no bundle: choose another --out")
