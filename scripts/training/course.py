"""The whole way of one fine-tune: recordings → split → examples → training → bundle → score on people never seen."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console

from hard.model import bundle
from hard.model.bundle import FORMAT, Manifest, Training, WindowSpec
from training import calibrate, export, judgement, work
from training.guards import RefusedError, StoppedError, choose_precision
from training.lesson import Bench, Lesson, learn
from training.material import Material, prepare
from training.outcome import Epoch, Trial
from training.recipe import SCRATCH, Recipe
from training.split import Split

AGREEMENT = 1e-4  # between transformers' own forward and the compiled graph, in log probability
PACKAGES = ("torch", "transformers", "sentencepiece", "numpy", "onnx", "onnxruntime")


def run(recipe: Recipe, console: Console, keep: Path | None = None) -> bundle.Bundle:
    """Makes the bundle at `recipe.out`; nothing is left there when it fails. Raises RefusedError or StoppedError.

    `keep` takes the trial. What an interrupted run has reached lies in the work folder beside it, for `recipe.resume`.
    """
    begun = time.monotonic()
    recipe = recipe.settled()
    precision, reason = choose_precision(recipe.precision)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    _check_out(recipe.out)
    kept = work.begin(recipe)
    try:
        material = prepare(recipe, console)
        console.print(f"precision {precision}: {reason}")
        with tempfile.TemporaryDirectory(prefix="hard-finetune-") as made:
            built, trial = make(Bench(recipe, console, precision, reason, kept, Path(made), begun), material)
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


def make(bench: Bench, material: Material) -> tuple[Path, Trial]:
    """Trains, seals and judges; gives the bundle's folder and the trial.

    With `recipe.refit` a second model then learns from the validation subjects too, for as many epochs as the first
    found best and under its temperature. The validation figures stay the first's, the test figures are the second's.
    """
    refit = bench.recipe.refit
    lesson = learn(bench, material, "first", share=0.5 if refit else 1.0)
    sealed = seal(bench, material, lesson)
    parts = replace(material.parts, test=()) if refit else material.parts
    trial = judge(sealed, bench, material, parts, lesson.trained.curve)
    if refit:
        bench.console.print("once more, from the validation subjects too", highlight=False)
        everyone = material.all_learnt()
        lesson = learn(bench, everyone, "refit", epochs=lesson.trained.epochs)
        sealed = seal(bench, everyone, lesson, first=sealed)
        if everyone.parts.test:
            again = judge(sealed, bench, everyone, everyone.parts, ())
            trial = replace(trial, parts=trial.parts | again.parts, strangers=again.strangers)
    judgement.write(sealed, trial, material.parts, bench.console, bench.recipe.cross_validation)
    return sealed.path, trial


def seal(bench: Bench, material: Material, lesson: Lesson, first: bundle.Bundle | None = None) -> bundle.Bundle:
    """Saves the trained model beside its tokenizer and compiles it. The temperature is fitted on the validation
    examples; a refit has none and takes that of the `first` bundle. Raises StoppedError."""
    recipe, pupil, folder = bench.recipe, lesson.pupil, lesson.folder
    pupil.model.cpu().float().eval().save_pretrained(folder)
    export.export(pupil.model, pupil.tree, pupil.encoder.length, folder / bundle.GRAPH)
    scores, apart = export.compare(pupil.model, pupil.tree, folder / bundle.GRAPH, lesson.shown)
    if not apart <= AGREEMENT:
        raise StoppedError(
            f"the compiled scorer is {apart:.1e} away from transformers' own forward, over {AGREEMENT:g}: this "
            "version of transformers computes T5 otherwise than scripts/training/export.py"
        )
    temperature = first.manifest.temperature if first else calibrate.fit_temperature(scores, lesson.shown.label)
    learnt = material.labelled.of(material.parts.train).truth
    subjects = material.parts.parts()
    if first:  # they chose the epoch all the same
        subjects["validation"] = first.manifest.training.subjects["validation"]
    training = Training(
        command=recipe.command,
        base=recipe.base if recipe.base == SCRATCH or not Path(recipe.base).is_dir() else Path(recipe.base).name,
        data=", ".join(path.name for path in recipe.data),
        subjects=subjects,
        seed=recipe.seed,
        precision=f"{bench.precision} ({bench.reason})",
        versions={"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        metrics={},
        epochs=lesson.trained.epochs,
        refit=first is not None,
        windows={label: int((learnt == label).sum()) for label in material.labels},
    )
    return bundle.write(
        folder,
        Manifest(
            format=FORMAT,
            name=recipe.name,
            labels=material.labels,
            window=WindowSpec(recipe.length_s, recipe.rate_hz),
            prompt=pupil.spec,
            up=tuple(material.usual.up.tolist()),
            forward=tuple(material.usual.forward.tolist()),
            temperature=temperature,
            training=training,
        ),
    )


def judge(sealed: bundle.Bundle, bench: Bench, material: Material, parts: Split, history: Sequence[Epoch]) -> Trial:
    """What the bundle says to the windows of `parts`, as it will be served.

    No baselines beside a refit: they learn from the training subjects alone, so they would be at a disadvantage.
    """
    return judgement.judge(
        sealed,
        replace(bench.recipe, baselines=bench.recipe.baselines and not bench.recipe.refit),
        labelled=material.labelled,
        stretches=material.stretches,
        parts=parts,
        history=history,
        console=bench.console,
    )


def _check_out(out: Path) -> None:
    if out.exists() and not (out.is_dir() and ((out / bundle.MANIFEST).exists() or not any(out.iterdir()))):
        raise RefusedError(f"{out} exists and is no bundle: choose another --out")
