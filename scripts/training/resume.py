"""The folder in which an unfinished fine-tune keeps what it has: beside --out, gone once the bundle is written.

`plan.json` says what was asked for; a folder for each training holds its checkpoints, then its weights and
`trained.json`. Knows no data and no optimiser.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
from safetensors.torch import load_model, save_model

from hard.model import leakage
from training.data import loading
from training.errors import RefusedError
from training.loop.trained import Trained
from training.recipe import Recipe
from training.report import plots
from training.report.report import REPORT
from training.results.cross_validation import FoldsReport

PLAN = "plan.json"
TRAINED = "trained.json"
WEIGHTS = "trained.safetensors"
STATE = "trainer_state.json"  # what Trainer writes last of a checkpoint
# Fields of a recipe that may differ between a run and its resumption; the last two stand in the plan otherwise.
FREE = {"out", "name", "command", "resume", "threads", "time_limit", "cross_validation", "source", "base_bundle"}
# May differ between a model and the cross-validation of its recipe: which subjects are held out, and what is trained
# beside.
NOT_CROSSED = ("holdout", "leave_out", "validation", "refit", "baselines")


def work_path(out: Path) -> Path:
    """`out` with `.work` behind it."""
    return out.with_name(out.name + ".work")


def begin(recipe: Recipe) -> Path:
    """The work folder of a recipe, new or to be resumed. Raises RefusedError where the two are mixed up."""
    folder, asked = work_path(recipe.out), plan(recipe)
    if not folder.exists():
        if recipe.resume:
            raise RefusedError(f"there is nothing to resume: {folder} isn't there")
        folder.mkdir(parents=True)
        (folder / PLAN).write_text(json.dumps(asked, indent=1), encoding="utf-8")
        return folder
    if not recipe.resume:
        raise RefusedError(f"{folder} holds an interrupted fine-tune: go on with --resume, or remove it")
    try:
        begun = read_plan(folder / PLAN)
    except (OSError, msgspec.DecodeError) as error:
        raise RefusedError(f"{folder} is not the folder of a fine-tune, or it broke off at once: remove it") from error
    if differs := difference(begun, asked):
        raise RefusedError(f"{folder} was begun with {differs}: resume with the same options, or remove it")
    return folder


def last_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint in `folder` that was written to its end."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    return next((path for path in found if _is_json(path / STATE)), None)


def finished(folder: Path, model: Any) -> Trained | None:
    """What the training in `folder` came to, its weights loaded into `model`; None where it has not ended."""
    try:
        trained = msgspec.json.decode((folder / TRAINED).read_bytes(), type=Trained)
    except (OSError, msgspec.DecodeError):
        return None
    load_model(model, folder / WEIGHTS)
    return trained


def finish(folder: Path, model: Any, trained: Trained) -> None:
    """Keeps the weights of a training that ended, and no checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, str(folder / WEIGHTS))
    (folder / TRAINED).write_bytes(msgspec.json.encode(trained))
    for path in folder.glob("checkpoint-*"):
        shutil.rmtree(path)


def plan(recipe: Recipe) -> dict[str, str]:
    """What must be the same when a recipe is resumed, the recordings included."""
    asked = {field.name: str(getattr(recipe, field.name)) for field in fields(recipe) if field.name not in FREE}
    asked |= {field.name: str(getattr(recipe.source, field.name)) for field in fields(recipe.source)}
    digests = leakage.digests(loading.files(recipe.data))
    asked["data"] = ", ".join(f"{name} (sha256 {digest[:8]})" for name, digest in digests.items())
    asked["unit"] = recipe.source.unit or "m/s2"  # what loading takes where none is given
    return asked


def read_plan(path: Path) -> dict[str, str]:
    """A plan on disk. Raises OSError and msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, str])


def difference(begun: dict[str, str], asked: dict[str, str]) -> str:
    """In what two plans differ, for a sentence; empty where they don't."""
    return next(
        (f"{name} {begun.get(name)}, not {asked[name]}" for name in asked if asked[name] != begun.get(name)), ""
    )


def read_crossed(recipe: Recipe) -> dict[Path, FoldsReport]:
    """The cross-validations that a recipe takes over, by folder. Raises RefusedError where one is of other options or
    recordings, or can't be read, and where two are of the same kind."""
    asked = {name: value for name, value in plan(recipe).items() if name not in NOT_CROSSED}
    found: dict[Path, FoldsReport] = {}
    for folder in recipe.cross_validation:
        try:
            report = msgspec.json.decode((folder / REPORT).read_bytes(), type=FoldsReport)
        except (OSError, msgspec.DecodeError) as error:
            raise RefusedError(f"{folder} holds no report of a cross-validation: make it with --folds") from error
        if differs := difference(report.plan, asked):
            raise RefusedError(f"{folder} was made with {differs}: cross-validate the same recipe, or leave it out")
        if missing := [name for name in plots.ALL if not (folder / name).is_file()]:
            raise RefusedError(f"{folder} lacks {missing[0]}: write the report anew, with its own command and --resume")
        if twice := [known for known, other in found.items() if other.by == report.by]:
            raise RefusedError(f"{folder} and {twice[0]} are both by {report.by}: name one")
        found[folder] = report
    return found


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
