"""Folds deal every subject once; above is claimed only where the mean difference exceeds its standard error."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from training import crossval, resume
from training.data import split
from training.errors import RefusedError
from training.recipe import Recipe
from training.report import console as display
from training.report import report
from training.results.outcome import Outcome, Trial

from hard.model.bundle import find

LABELS = ("Walking", "Sitting")


def outcome(subjects: tuple[str, ...], share_right: float, seed: int = 0) -> Outcome:
    """Fifty windows a subject; the baseline "coin" is right by half."""
    rng = np.random.default_rng(seed)
    n = 50 * len(subjects)
    truth = rng.integers(0, 2, n)
    said = np.where(rng.random(n) < share_right, truth, 1 - truth)
    sure = rng.uniform(0.6, 1.0, n)
    probabilities = np.where(np.arange(2) == said[:, None], sure[:, None], 1 - sure[:, None])
    coin = [np.array(LABELS)[rng.integers(0, 2, n)] for _ in range(2)]
    return Outcome(
        LABELS, np.array(LABELS)[truth], np.repeat(subjects, 50), probabilities, np.full(n, 1.5), {"coin": coin}
    )


def trial(subjects: tuple[str, ...], share_right: float, seed: int = 0) -> Trial:
    parts = {"validation": outcome(("v",), share_right, seed + 10), "test": outcome(subjects, share_right, seed)}
    history = [(1.0, 0.9, 0.8, 0.5), (2.0, 0.5, 0.6, 0.8), (3.0, 0.4, 0.7, 0.7)]
    return Trial(parts, history, 12, {"all zeros": np.linspace(0, 1, 5)})


@given(count=st.integers(2, 40), seed=st.integers(0, 50), data=st.data())
def test_every_subject_is_held_out_once(count: int, seed: int, data: st.DataObject) -> None:
    subjects = [str(i) for i in range(count)]
    k = data.draw(st.integers(2, count))
    dealt = split.deal(subjects, k, seed)
    assert len(dealt) == k
    assert sorted(s for held in dealt for s in held) == sorted(subjects)
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    assert dealt == split.deal(subjects, k, seed)


@pytest.mark.parametrize("folds_wanted", [1, 4])
def test_folds_that_cannot_be_dealt_are_refused(folds_wanted: int) -> None:
    with pytest.raises(RefusedError, match="can't be parted"):
        split.deal(["1", "2", "3"], folds_wanted, 0)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.02, 0.03, 0.02, 0.03], "above"),
        ([-0.02, -0.03, -0.02], "below"),
        ([0.05, -0.04, 0.03, -0.02], "not told apart"),
        ([0.5], "not told apart"),
    ],
)
def test_above_is_claimed_only_beyond_the_standard_error(differences: list[float], verdict: str) -> None:
    assert crossval.against(differences).verdict == verdict


def test_a_trial_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    before = trial(("1", "2"), 0.9)
    before.save(tmp_path / "t.npz")
    after = Trial.load(tmp_path / "t.npz")
    assert after.history == before.history
    assert after.tokens == 12
    assert after.parts["test"].labels == LABELS
    for part in ("test", "validation"):
        np.testing.assert_array_equal(after.parts[part].probabilities, before.parts[part].probabilities)
        np.testing.assert_array_equal(after.parts[part].baselines["coin"][1], before.parts[part].baselines["coin"][1])
    np.testing.assert_array_equal(after.strangers["all zeros"], before.strangers["all zeros"])


def test_the_report_tells_folds_baselines_and_abstaining(tmp_path: Path) -> None:
    trials = [trial(("1", "2"), 0.95, 1), trial(("3", "4"), 0.9, 2), trial(("5",), 0.97, 3)]
    command = "python scripts/finetune.py x --folds 3"
    told = {"seen_before": (), "name": "tiny", "command": command, **crossval.summary(trials)}
    assert told["pooled"]["windows"] == 250
    assert told["against"]["coin"]["verdict"] == "above"
    assert [fold["epoch"] for fold in told["folds"]] == [2.0, 2.0, 2.0]
    mean = np.mean([fold["macro_f1"] for fold in told["folds"]])
    assert told["over_folds"]["macro_f1"]["mean"] == pytest.approx(mean, abs=1e-4)
    report.write_folds(tmp_path, told, trials)
    page = (tmp_path / "README.md").read_text()
    for piece in ("| coin | +0.", "above", "Worst subject", "--folds 3", "min_confidence`: **", "all zeros"):
        assert piece in page
    for picture in ("losses.png", "confusion.png", "reliability.png", "coverage.png"):
        assert f"({picture})" in page
        assert 2_000 < (tmp_path / picture).stat().st_size < 40_000
    shown = io.StringIO()
    display.show_folds(Console(file=shown, width=160), told)
    assert "coin: above, macro-F1 +0." in shown.getvalue()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"holdout": ("1",)}, "leave --holdout out"),
        ({"split": "random"}, "leave --split out"),
        ({"cross_validation": Path("folds")}, "leave --cross-validation out"),
    ],
)
def test_folds_refuse_what_contradicts_them(tmp_path: Path, options: dict[str, object], sentence: str) -> None:
    recipe = Recipe(data=(), out=tmp_path / "cv", **options)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match=sentence):
        crossval.run(recipe, Console(file=io.StringIO()), folds=3, jobs=1)


def test_a_fold_of_another_recipe_or_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("one")
    recipe = Recipe(data=(tmp_path / "data.csv",), out=tmp_path / "folds" / "1", holdout=("1",), resume=True)
    assert not crossval._is_done(recipe)
    shutil.copytree(find(), recipe.out)
    trial(("1",), 0.9).save(recipe.out.with_suffix(".npz"))
    assert not crossval._is_done(recipe)  # made before plans were kept, or broken off
    recipe.out.with_suffix(".json").write_text(json.dumps(resume.plan(recipe.settled())))
    assert crossval._is_done(recipe)
    assert crossval._is_done(replace(recipe, threads=7, command="python finetune.py --jobs 3"))
    with pytest.raises(RefusedError, match=r"was made with lr 0\.003, not 0\.1: resume with the same options"):
        crossval._is_done(replace(recipe, lr=0.1))
    (tmp_path / "data.csv").write_text("two")
    with pytest.raises(RefusedError, match=r"was made with data data\.csv \(sha256 .*\), not data\.csv"):
        crossval._is_done(recipe)
