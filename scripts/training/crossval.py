"""One recipe, several fine-tunes: every subject is judged once by a model that has never seen them (K folds).

Each fold is a whole fine-tune in its own process, which leaves its bundle, log, trial and plan in `out`/folds; the
report is made from the trials.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console

from hard.model import bundle, leakage
from hard.model.figures import FoldsBy
from hard.recordings.recordings import Recording
from training.data import loading, split
from training.data.dataset import grid_of
from training.errors import RefusedError, StoppedError
from training.options import Options
from training.recipe import Recipe, check_range, finalise
from training.report import report
from training.report.console import in_short, show_folds, show_seen
from training.results.cross_validation import FoldsReport, summary
from training.results.outcome import figures
from training.results.trial import Trial
from training.resume import difference, plan, read_plan, work_path

FOLDS = "folds"


def run(options: Options, console: Console, *, folds: int | FoldsBy, jobs: int) -> FoldsReport:
    """Trains `folds` times, or without each data set, place or activity in turn, `jobs` at a time, and writes the
    report to `options.out`.

    With `options.resume` the folds that an interrupted run ended are kept, and those it began go on; all must be of the
    same options. The cores are shared out among the jobs as threads. Raises RefusedError or StoppedError, naming the
    fold.
    """
    recipe = finalise(replace(options, name=options.name or options.out.name))
    check_range("--jobs", jobs, 1)
    _check(recipe)
    place = recipe.out / FOLDS
    asked = plan(recipe)
    runs, _ = loading.load(recipe.data, recipe.source)
    changes = _changes(recipe, runs, folds)
    seen = seen_before(recipe, [[run.subject for run in runs]])
    del runs
    if recipe.base_bundle is not None:
        show_seen(console, recipe.base_bundle, seen)
    place.mkdir(parents=True, exist_ok=True)
    threads = recipe.threads or max(1, (os.cpu_count() or 1) // jobs)
    recipes = [replace(recipe, **change, out=place / str(i), threads=threads) for i, change in enumerate(changes, 1)]
    console.print(f"{len(recipes)} folds, {jobs} at a time, {threads} threads each; their logs are {place}/*.log")
    trials = _trained(recipes, console, jobs)
    by: FoldsBy = "subject" if isinstance(folds, int) else folds
    left_out = [recipe.leave_out.partition("=")[2] for recipe in recipes]
    found = summary(
        trials, name=recipe.name, command=recipe.command, seen_before=seen, plan=asked, by=by, left_out=left_out,
        length_s=recipe.length_s,
    )  # fmt: skip
    report.write_folds(recipe.out, found, trials)
    show_folds(console, found)
    console.print(f"wrote {recipe.out}")
    return found


def _changes(recipe: Recipe, runs: Sequence[Recording], folds: int | FoldsBy) -> list[dict[str, Any]]:
    """In what the recipe of each fold differs. Raises RefusedError."""
    if isinstance(folds, int):
        subjects = [run.subject for run in runs if np.any(run.truth != "")]  # of some label that isn't dropped
        held = split.into_folds(subjects, folds, recipe.seed)
        return [{"holdout": each} for each in held]
    labelled = loading.windows_of(runs, grid_of(recipe))
    names = split.names_to_leave_out(labelled, folds)
    holdout = split.test_subjects(labelled, recipe.seed) if folds == "activity" else ()
    return [{"leave_out": f"{folds}={name}", "holdout": holdout} for name in names]


def seen_before(recipe: Recipe, held: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The subjects held out whom the bundle that every fold begins with has seen."""
    if recipe.base_bundle is None:
        return ()
    everyone = [name for subjects in held for name in subjects]
    return leakage.seen_subjects(recipe.base_bundle.manifest.training, loading.files(recipe.data), everyone)


def is_done(recipe: Recipe) -> bool:
    """Whether an earlier run has trained this fold to its end. Raises RefusedError where its options differed."""
    try:
        made = read_plan(_plan(recipe))
        done = bool(Trial.load(_trial(recipe)).parts)
        bundle.read(recipe.out)
    except (bundle.BundleError, OSError, ValueError, msgspec.DecodeError):
        return False
    if differs := difference(made, plan(recipe)):
        raise RefusedError(
            f"{recipe.out} was made with {differs}: resume with the same options, or choose another --out"
        )
    return done


def _check(recipe: Recipe) -> None:
    """Raises RefusedError for what contradicts folds."""
    if recipe.holdout:
        raise RefusedError("--folds holds out every subject in turn: leave --holdout out")
    if recipe.leave_out:
        raise RefusedError("--folds leaves out each in turn: leave --leave-out out")
    if recipe.cross_validation:
        raise RefusedError("--folds makes such a report: leave --cross-validation out")
    if recipe.split != "subject":
        raise RefusedError("--folds is by subject: leave --split out")
    if recipe.out.exists() and any(recipe.out.iterdir()) and not (recipe.out / FOLDS).is_dir():
        raise RefusedError(f"{recipe.out} exists and is no cross-validation: choose another --out")


def _trained(recipes: Sequence[Recipe], console: Console, jobs: int) -> list[Trial]:
    begun = time.monotonic()
    left = [recipe for recipe in recipes if not (recipe.resume and is_done(recipe))]
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
                for other in waiting:
                    other.cancel()
                raise type(error)(f"fold {recipe.out.name}: {error}") from error
            reached = figures(Trial.load(_trial(recipe)).parts["test"])
            console.print(
                f"fold {recipe.out.name} ({_what(recipe)}): {in_short(reached)}; "
                f"{(time.monotonic() - begun) / 60:.1f} min since the beginning",
                highlight=False,
            )
    return [Trial.load(_trial(recipe)) for recipe in recipes]


def _what(recipe: Recipe) -> str:
    return f"without {recipe.leave_out}" if recipe.leave_out else f"subjects {', '.join(recipe.holdout)}"


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
        _plan(recipe).write_text(json.dumps(plan(recipe), indent=1), encoding="utf-8")


def _trial(recipe: Recipe) -> Path:
    return recipe.out.with_suffix(".npz")


def _plan(recipe: Recipe) -> Path:
    return recipe.out.with_suffix(".json")


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
