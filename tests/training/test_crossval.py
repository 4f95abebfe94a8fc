"""Cross-validation: what contradicts it, which folds are done, and which subjects the base bundle has seen."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support.trials import trial
from training import crossval, resume
from training.errors import RefusedError
from training.options import Options
from training.recipe import Recipe, finalise

from hard.model.bundle import find


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"holdout": ("1",)}, "leave --holdout out"),
        ({"split": "random"}, "leave --split out"),
        ({"cross_validation": Path("folds")}, "leave --cross-validation out"),
    ],
)
def test_what_contradicts_folds_is_refused(tmp_path: Path, options: dict[str, object], sentence: str) -> None:
    asked = Options(data=(), out=tmp_path / "cv", **options)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match=sentence):
        crossval.run(asked, Console(file=io.StringIO()), folds=3, jobs=1)


def test_a_folder_that_is_no_cross_validation_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RefusedError, match="exists and is no cross-validation"):
        crossval.run(Options(data=(), out=tmp_path), Console(file=io.StringIO()), folds=3, jobs=1)


def recipe(data: Path, out: Path, **choices: object) -> Recipe:
    return finalise(Options(data=(data,), out=out, **choices))  # type: ignore[arg-type]


def test_a_fold_of_another_recipe_or_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("one")
    fold = recipe(tmp_path / "data.csv", tmp_path / "folds" / "1", holdout=("1",), resume=True)
    assert not crossval.is_done(fold)
    shutil.copytree(find(), fold.out)
    trial(("1",), 0.9).save(fold.out.with_suffix(".npz"))
    assert not crossval.is_done(fold)  # broken off before its plan was written
    fold.out.with_suffix(".json").write_text(json.dumps(resume.plan(fold)))
    assert crossval.is_done(fold)
    assert crossval.is_done(replace(fold, threads=7, command="python finetune.py --jobs 3"))
    with pytest.raises(RefusedError, match=r"was made with lr 0\.003, not 0\.1: resume with the same options"):
        crossval.is_done(replace(fold, lr=0.1))
    (tmp_path / "data.csv").write_text("two")
    with pytest.raises(RefusedError, match=r"was made with data data\.csv \(sha256 .*\), not data\.csv"):
        crossval.is_done(fold)


def test_subjects_held_out_whom_the_base_bundle_has_seen_are_known(known: Path, tmp_path: Path) -> None:
    adapted = recipe(known, tmp_path / "cv", base="default")
    assert crossval.seen_before(adapted, [("1", "2"), ("3", "4")]) == ("1", "2", "4")  # by 3 it was judged
    assert crossval.seen_before(adapted, [("77",)]) == ()
    assert crossval.seen_before(recipe(known, tmp_path / "cv"), [("1",)]) == ()
