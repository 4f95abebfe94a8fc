"""The whole way of one fine-tune: recordings → split → examples → training → bundle → score on people never seen."""

from __future__ import annotations

import json
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
from hard.model.bundle import FORMAT, Manifest, Training, WindowSpec
from training import resume
from training.data import loading
from training.data.dataset import Dataset, prepare
from training.data.examples import Examples
from training.errors import RefusedError, StoppedError
from training.evaluation.evaluate import judge
from training.export import export
from training.export import int8 as quantised
from training.loop.guards import choose_precision
from training.loop.trainer import Trained, train
from training.model import extend
from training.model.setup import Learner, examples_of, make_learner, training_examples
from training.recipe import Recipe
from training.report import report
from training.results import acceptance, confidence
from training.results.outcome import Trial

AGREEMENT = 1e-4  # between transformers' own forward and the compiled graph, in log probability
PACKAGES = ("torch", "transformers", "sentencepiece", "numpy", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """Where a fine-tune works: `kept` outlives an interruption, `made` takes bundles. `begun` is of time.monotonic."""

    recipe: Recipe
    console: Console
    precision: str
    reason: str
    kept: Path
    made: Path
    begun: float

    def deadline(self, share: float) -> float | None:
        """When `share` of the time limit has passed."""
        limit = self.recipe.time_limit
        return None if limit is None else self.begun + 60 * limit * share


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained learner, the examples it learnt from and was validated on (where there were none, some it learnt from),
    what the training came to, and the bundle's folder, which holds the tokenizer so far."""

    learner: Learner
    learnt: Examples
    shown: Examples
    trained: Trained
    folder: Path


def run(recipe: Recipe, console: Console, keep: Path | None = None) -> bundle.Bundle:
    """Makes the bundle at `recipe.out`; nothing is left there when it fails. Raises RefusedError or StoppedError.

    `keep` takes the trial. What an interrupted run has reached lies in the work folder beside it, for `recipe.resume`.
    """
    begun = time.monotonic()
    recipe = extend.settled(recipe)
    resume.check_crossed(recipe)
    precision, reason = choose_precision(recipe.precision)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    _check_out(recipe.out)
    kept = resume.begin(recipe)
    try:
        dataset = prepare(recipe, console)
        console.print(f"precision {precision}: {reason}")
        with tempfile.TemporaryDirectory(prefix="hard-finetune-") as made:
            built, trial = make(Session(recipe, console, precision, reason, kept, Path(made), begun), dataset)
            if keep is not None:
                trial.save(keep)
            shutil.rmtree(recipe.out, ignore_errors=True)
            recipe.out.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(built, recipe.out, copy_function=shutil.copyfile)  # readable by whom the umask lets read
    except (RefusedError, StoppedError):
        shutil.rmtree(kept)  # resumed, it would fail again
        raise
    shutil.rmtree(kept)
    console.print(f"wrote {recipe.out}")
    return bundle.read(recipe.out)


def make(session: Session, dataset: Dataset) -> tuple[Path, Trial]:
    """Trains, seals and judges; gives the bundle's folder and the trial.

    With `recipe.refit` a second model then learns from the validation subjects too, under the first's temperature, for
    as many epochs as the folds of its cross-validation found best at the median, or else the first. The validation
    figures stay the first's, the test figures are the second's; with nobody to test, those of the people it learnt from
    are, so that the weights can be checked.
    """
    # No baselines beside a refit: they learn from the training subjects alone, so they would be at a disadvantage.
    refit, recipe = session.recipe.refit, session.recipe
    fitted = fit(session, dataset, "first", share=0.5 if refit else 1.0)
    sealed = seal(session, dataset, fitted)
    parts = replace(dataset.parts, test=()) if refit else dataset.parts
    beside = recipe.baselines and not refit
    trial = judge(sealed, fitted.learner, recipe, dataset, parts, console=session.console, beside=beside)
    acceptance.check(trial, "validation")
    trial = replace(trial, history=list(fitted.trained.curve))
    if refit:
        session.console.print("once more, from the validation subjects too", highlight=False)
        everyone = dataset.all_learnt(recipe)
        fitted = fit(session, everyone, "refit", epochs=_epochs(recipe, fitted))
        sealed = seal(session, everyone, fitted, first=sealed)
        on = "test" if everyone.parts.test else "train"
        again = judge(sealed, fitted.learner, recipe, everyone, everyone.parts, console=session.console, on=(on,))
        acceptance.check(again, on)
        told = {"parts": trial.parts | again.parts, "history": trial.history}
        # Samples of people whom the model met say nothing.
        trial = replace(again, **told) if on == "test" else replace(trial, **told, strangers=again.strangers)  # type: ignore[arg-type]
    report.write_bundle(sealed, trial, dataset.parts, session.console, recipe.cross_validation)
    return sealed.path, trial


def _epochs(recipe: Recipe, first: Fitted) -> float:
    """How long a refit learns. The folds know better than the few who validate the first fit."""
    if recipe.cross_validation is None:
        return first.trained.epochs
    told = json.loads((recipe.cross_validation / report.REPORT).read_text(encoding="utf-8"))
    return float(median(fold["epoch"] for fold in told["folds"] if fold["epoch"]))


def fit(session: Session, dataset: Dataset, name: str, *, share: float = 1.0, epochs: float | None = None) -> Fitted:
    """Trains a learner, or goes on where this training, known by `name`, was interrupted; by `share` of the time limit.

    With nobody to validate on, for `epochs`. Raises RefusedError and StoppedError.
    """
    recipe, kept_in, made_in = session.recipe, session.kept / name, session.made / name
    made_in.mkdir()
    set_seed(recipe.seed)
    learner, features = make_learner(recipe, dataset, made_in)
    examples = training_examples(recipe, dataset, learner, features)
    # Where nobody validates, one subject's windows are enough to hold the compiled scorer against the model.
    shown_from = dataset.parts.validation or dataset.parts.train[:1]
    shown = examples_of(recipe, dataset, learner, dataset.labelled.of(shown_from))
    session.console.print(
        f"{sum(p.numel() for p in learner.model.parameters()):,} parameters, {len(examples)} examples, "
        f"prompts of {examples.longest} tokens at most: {learner.encoder.render(features[:1])[0]}",
        highlight=False,
        markup=False,
    )
    trained = resume.finished(kept_in, learner.model)
    if trained is None:
        trained = train(
            learner.model,
            learner.tokenizer,
            examples=(examples, shown if dataset.parts.validation else None),
            labels=dataset.labels,
            recipe=recipe,
            precision=session.precision,
            folder=kept_in,
            begins_able=extend.base_of(recipe) is not None,
            epochs=epochs,
            deadline=session.deadline(share),
            resume_from=resume.last_checkpoint(kept_in),
        )
        resume.finish(kept_in, learner.model, trained)
    if trained.out_of_time:
        session.console.print(
            f"the time limit of {recipe.time_limit:g} min ended training after {trained.passed:.3g} of {recipe.epochs} "
            f"epochs; kept are the weights after {trained.epochs:.3g}",
            highlight=False,
        )
    return Fitted(learner, examples, shown, trained, made_in)


def seal(session: Session, dataset: Dataset, fitted: Fitted, first: bundle.Bundle | None = None) -> bundle.Bundle:
    """Saves the trained model beside its tokenizer and compiles it, in fp32 and in int8. The temperature is fitted and
    int8 weighed on the validation examples; a refit has none and takes both from the `first` bundle. Raises
    StoppedError."""
    recipe, learner, folder = session.recipe, fitted.learner, fitted.folder
    learner.model.cpu().float().eval().save_pretrained(folder)
    compiled = (learner.model, learner.tree, learner.encoder.length)
    export.export(*compiled, folder / bundle.GRAPHS["fp32"])
    quantised.write(*compiled, fitted.learnt, folder)
    scores, apart = export.compare(learner.model, learner.tree, folder / bundle.GRAPHS["fp32"], fitted.shown)
    if not apart <= AGREEMENT:
        raise StoppedError(
            f"the compiled scorer is {apart:.1e} away from transformers' own forward, over {AGREEMENT:g}: this "
            "version of transformers computes T5 otherwise than scripts/training/export/export.py"
        )
    temperature = first.manifest.temperature if first else confidence.fit_temperature(scores, fitted.shown.label)
    int8 = first.manifest.int8 if first else quantised.weigh(folder, dataset.labels, fitted.shown, scores)
    assert int8 is not None
    session.console.print(
        f"int8: macro-F1 {int8.macro_f1:.4f}, fp32 {int8.macro_f1_fp32:.4f}; {int8.speed:.2f} times as fast",
        highlight=False,
    )
    learnt = dataset.labelled.of(dataset.parts.train).truth
    base, subjects = extend.base_of(recipe), dataset.parts.parts()
    if first:  # they chose the epoch all the same
        subjects["validation"] = first.manifest.training.subjects["validation"]
    training = Training(
        command=recipe.command,
        base=base.model if base else Path(recipe.base).name if Path(recipe.base).is_dir() else recipe.base,
        data=", ".join(path.name for path in recipe.data),
        digests=leakage.digests(loading.files(recipe.data)),
        subjects=subjects,
        split=dataset.parts.kind,
        seen_before=dataset.parts.seen_before,
        seed=recipe.seed,
        precision=f"{session.precision} ({session.reason})",
        versions={"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        metrics={},
        epochs=fitted.trained.epochs,
        refit=first is not None,
        windows={label: int((learnt == label).sum()) for label in dataset.labels},
        adapted_from=structs.replace(base.manifest.training, metrics={}) if base else None,
    )
    return bundle.write(
        folder,
        Manifest(
            format=FORMAT,
            name=recipe.name,
            labels=dataset.labels,
            window=WindowSpec(recipe.length_s, recipe.rate_hz),
            prompt=learner.spec,
            up=tuple(dataset.usual.up.tolist()),
            forward=tuple(dataset.usual.forward.tolist()),
            gait_amplitude_ms2=dataset.usual.gait_amplitude_ms2,
            temperature=temperature,
            training=training,
            precision="int8" if quantised.pays(int8) else "fp32",
            int8=int8,
        ),
    )


def _check_out(out: Path) -> None:
    if out.exists() and not (out.is_dir() and ((out / bundle.MANIFEST).exists() or not any(out.iterdir()))):
        raise RefusedError(f"{out} exists and is no bundle: choose another --out")
