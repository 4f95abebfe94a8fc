"""One recipe, several fine-tunes: every subject is judged once by a model that never met him. Subject-wise K folds.

Each fold is a whole fine-tune in its own process, which leaves its bundle, log, trial and plan in `out`/folds; the
report is drawn from the trials.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hard.model import bundle, leakage
from training.data import dataset, loading, split
from training.errors import RefusedError, StoppedError
from training.model import extend
from training.recipe import Recipe, check_range
from training.report import console as display
from training.report import markdown, report
from training.results.abstaining import recommended
from training.results.outcome import Trial, figures, pooled
from training.resume import difference, plan, work_path

FOLDS = "folds"


@dataclass(frozen=True, slots=True)
class Against:
    """How far the model stands from a baseline in macro-F1: the mean over folds of their difference, and its error."""

    mean: float
    standard_error: float

    @property
    def verdict(self) -> str:
        """Above or below is claimed only where the mean exceeds its standard error."""
        if abs(self.mean) <= self.standard_error:
            return "not told apart"
        return "above" if self.mean > 0 else "below"


def run(recipe: Recipe, console: Console, *, folds: int, jobs: int) -> dict[str, Any]:
    """Trains `folds` times, `jobs` at a time, and writes the report to `recipe.out`; gives its figures.

    With `recipe.resume` the folds that an interrupted run ended are kept, and those it began go on; all must have been
    told the same. A fold has the
    cores shared out among the jobs as threads. Raises RefusedError or StoppedError, naming the fold.
    """
    settled = extend.settled(recipe)
    check_range("--jobs", jobs, 1)
    if recipe.holdout:
        raise RefusedError("--folds holds everybody out in turn: leave --holdout out")
    if recipe.cross_validation is not None:
        raise RefusedError("--folds makes such a report: leave --cross-validation out")
    if recipe.split != "subject":
        raise RefusedError("--folds is by subject: leave --split out")
    place = recipe.out / FOLDS
    if recipe.out.exists() and any(recipe.out.iterdir()) and not place.is_dir():
        raise RefusedError(f"{recipe.out} exists and is no cross-validation: choose another --out")
    asked = plan(settled)
    runs, _ = dataset.read(recipe)
    held = split.deal([r.subject for r in runs], folds, recipe.seed)
    del runs
    base = extend.base_of(recipe)
    seen = seen_before(base, recipe, held)
    if base is not None and seen:
        console.print(extend.seen_sentence(base, seen), highlight=False, markup=False)
    place.mkdir(parents=True, exist_ok=True)
    threads = recipe.threads or max(1, (os.cpu_count() or 1) // jobs)
    name = recipe.name or recipe.out.name
    recipes = [
        replace(recipe, holdout=subjects, out=place / str(i), threads=threads, name=name)
        for i, subjects in enumerate(held, 1)
    ]
    console.print(f"{folds} folds, {jobs} at a time, {threads} threads each; their logs are {place}/*.log")
    trials = _trained(recipes, console, jobs)
    told = {"name": recipe.name or recipe.out.name, "command": recipe.command, "seen_before": seen, "plan": asked}
    told |= summary(trials)
    report.write_folds(recipe.out, told, trials)
    display.show_folds(console, told)
    console.print(f"wrote {recipe.out}")
    return told


def seen_before(base: bundle.Bundle | None, recipe: Recipe, held: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The subjects held out whom the bundle that every fold begins with has seen."""
    if base is None:
        return ()
    everyone = [name for subjects in held for name in subjects]
    return leakage.seen_subjects(base.manifest.training, loading.files(recipe.data), everyone)


def _trained(recipes: Sequence[Recipe], console: Console, jobs: int) -> list[Trial]:
    begun = time.monotonic()
    left = [recipe for recipe in recipes if not (recipe.resume and _is_done(recipe))]
    # Spawned, not forked: torch's threads don't survive a fork. OpenMP reads its limit when it is first loaded.
    with (
        _environment("OMP_NUM_THREADS", str(recipes[0].threads)),
        ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool,
    ):
        waiting: dict[Future[None], Recipe] = {
            pool.submit(_fold, replace(recipe, resume=work_path(recipe.out).exists() and recipe.resume)): recipe
            for recipe in left
        }
        for done in as_completed(waiting):
            recipe = waiting[done]
            try:
                done.result()
            except (RefusedError, StoppedError) as error:
                pool.shutdown(wait=False, cancel_futures=True)
                raise type(error)(f"fold {recipe.out.name}: {error}") from error
            told = figures(Trial.load(_trial(recipe)).parts["test"])
            console.print(
                f"fold {recipe.out.name} (subjects {', '.join(recipe.holdout)}): {display.in_short(told)}; "
                f"{(time.monotonic() - begun) / 60:.1f} min since the beginning",
                highlight=False,
            )
    return [Trial.load(_trial(recipe)) for recipe in recipes]


def _is_done(recipe: Recipe) -> bool:
    """Whether an earlier run has trained this fold to its end. Raises RefusedError where it was told otherwise."""
    try:
        made = json.loads(_plan(recipe).read_text(encoding="utf-8"))
        done = bool(Trial.load(_trial(recipe)).parts)
        bundle.read(recipe.out)
    except (bundle.BundleError, OSError, ValueError):
        return False
    if told := difference(made, plan(extend.settled(recipe))):
        raise RefusedError(f"{recipe.out} was made with {told}: resume with the same options, or choose another --out")
    return done


def _fold(recipe: Recipe) -> None:
    """One fold, in its own process."""
    from training import finetune  # noqa: PLC0415  (seconds that only the child needs)

    with (
        recipe.out.with_suffix(".log").open("w", encoding="utf-8", buffering=1) as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        _plan(recipe).unlink(missing_ok=True)  # until the end the fold counts as not done
        finetune.run(recipe, Console(file=log, soft_wrap=True, width=160), keep=_trial(recipe))
        _plan(recipe).write_text(json.dumps(plan(extend.settled(recipe)), indent=1), encoding="utf-8")


def _trial(recipe: Recipe) -> Path:
    return recipe.out.with_suffix(".npz")


def _plan(recipe: Recipe) -> Path:
    return recipe.out.with_suffix(".json")


@contextlib.contextmanager
def _environment(name: str, value: str) -> Any:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def summary(trials: Sequence[Trial]) -> dict[str, Any]:
    """Figures of each fold, their mean and standard error over folds, all test windows together, and the comparison."""
    tests, validations = ([trial.parts[part] for trial in trials] for part in ("test", "validation"))
    each = [{**figures(trial.parts["test"]), "epoch": report.best_epoch(trial)} for trial in trials]
    chooser = pooled(validations)
    threshold = recommended(chooser.confidence, chooser.right)
    strangers = {kind: np.concatenate([trial.strangers[kind] for trial in trials]) for kind in trials[0].strangers}
    names = list(each[0].get("baselines", {}))
    return {
        "folds": [{"subjects": list(fold["macro_f1_by_subject"]), **fold} for fold in each],
        "over_folds": {
            name: _over([fold[name] for fold in each])
            for name in ("accuracy", "macro_f1", "calibration_error", "calibration_error_before")
        },
        "baselines_over_folds": {name: _over([fold["baselines"][name]["macro_f1"] for fold in each]) for name in names},
        "pooled": figures(pooled(tests)),
        "abstaining": report.abstaining(pooled(tests), threshold, markdown.SOURCE_OWN, strangers),
        "prompt_tokens": max(trial.tokens for trial in trials),
        "against": {
            name: {"mean": a.mean, "standard_error": a.standard_error, "verdict": a.verdict}
            for name in names
            for a in [against([fold["macro_f1"] - fold["baselines"][name]["macro_f1"] for fold in each])]
        },
    }


def against(differences: Sequence[float]) -> Against:
    """From the fold-wise differences in macro-F1, model less baseline."""
    return Against(**_over(differences))


def _over(values: Sequence[float]) -> dict[str, float]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("inf")
    return {"mean": round(float(np.mean(values)), 4), "standard_error": round(spread / np.sqrt(len(values)), 4)}
