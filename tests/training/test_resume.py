"""An interrupted fine-tune goes on with --resume; without it, or with other options, it is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.listener import eventually
from support.trials import trial
from training import resume
from training.errors import RefusedError
from training.options import Options, Source
from training.recipe import finalise
from training.report import plots
from training.report.report import REPORT
from training.results.cross_validation import summary

from hard.model import bundle

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = (
    *("--holdout", "5,6", "--validation", "1", "--epochs", "5", "--batch", "4", "--lr", "0.0005", "--threads", "1"),
    *("--features", "v.std,v.freq,m.q90,h.e2,tilt.cos,y.mean", "--levels", "8", "--copies", "1", "--no-baselines"),
)


def begun(recording: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """A fine-tune in its own process, as from a clone."""
    command = [sys.executable, str(REPOSITORY / "scripts" / "finetune.py"), str(recording), "--out", str(out)]
    return subprocess.Popen(
        [*command, *SMALL, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"},
    )


def kept(out: Path) -> int:
    """The last epoch whose checkpoint was written to its end; 0 without any."""
    checkpoint = resume.last_checkpoint(resume.work_path(out) / "first")
    try:
        return int(json.loads((checkpoint / resume.STATE).read_text())["epoch"]) if checkpoint else 0
    except FileNotFoundError:  # just then the next one took its place
        return 0


@pytest.mark.slow
def test_killed_in_the_middle_and_resumed_it_ends_with_the_same_figures(recording: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with begun(recording, whole) as one:
        assert "wrote" in one.communicate(timeout=300)[0]
    with begun(recording, broken) as two:
        eventually(lambda: kept(broken) >= 2 or two.poll() is not None, 300)
        two.send_signal(signal.SIGKILL)
        two.communicate()
    assert not broken.exists()
    last = kept(broken)
    with begun(recording, broken) as three:
        assert "go on with --resume, or remove it" in three.communicate(timeout=300)[0]
        assert three.returncode == 2
    with begun(recording, broken, "--resume") as four:
        printed = four.communicate(timeout=300)[0]
    assert f"epoch {last + 1}:" in printed
    assert f"epoch {last}:" not in printed
    first, second = (bundle.read(out).manifest for out in (whole, broken))
    assert first.training.metrics == second.training.metrics
    assert first.training.epochs == second.training.epochs
    assert first.files["model.safetensors"] == second.files["model.safetensors"]
    assert not resume.work_path(broken).exists()


@pytest.mark.slow
def test_a_time_limit_keeps_what_has_been_learnt_and_says_so(recording: Path, tmp_path: Path) -> None:
    with begun(recording, tmp_path / "short", "--epochs", "500", "--patience", "500", "--time-limit", "0.2") as run:
        printed = run.communicate(timeout=300)[0]
    assert run.returncode == 0, printed
    assert "the time limit of 0.2 min ended training after" in printed
    assert bundle.verify(tmp_path / "short") == []


@pytest.mark.slow
def test_a_refit_learns_from_the_validation_subjects_too(recording: Path, tmp_path: Path) -> None:
    with begun(recording, tmp_path / "all", "--refit", "--epochs", "2") as run:
        printed = run.communicate(timeout=300)[0]
    assert run.returncode == 0, printed
    training = bundle.read(tmp_path / "all").manifest.training
    validation = training.subjects["validation"]
    assert len(validation) == 1
    assert sorted(training.subjects["train"]) == ["1", "2", "3", "4"]
    assert validation[0] in training.subjects["train"]
    assert training.refit
    assert set(training.windows) == set(bundle.read(tmp_path / "all").manifest.labels)
    assert all(training.windows.values())
    assert 0 < training.epochs <= 2
    assert set(training.metrics.parts["validation"].macro_f1_by_subject) == set(validation)
    assert set(training.metrics.parts["test"].macro_f1_by_subject) == {"5", "6"}


def test_nothing_to_resume_and_other_options_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x")
    options = Options(data=(tmp_path / "data.csv",), out=tmp_path / "model", epochs=3)
    recipe, again = finalise(options), finalise(replace(options, resume=True, threads=1))
    with pytest.raises(RefusedError, match="there is nothing to resume"):
        resume.begin(again)
    folder = resume.begin(recipe)
    with pytest.raises(RefusedError, match="holds an interrupted fine-tune"):
        resume.begin(recipe)
    assert resume.begin(again) == folder
    (tmp_path / "data.csv").write_text("longer")
    with pytest.raises(RefusedError, match=r"was begun with data data\.csv \(sha256 \w{8}\), not data\.csv \(sha256 "):
        resume.begin(again)
    (folder / resume.PLAN).write_text("{")
    with pytest.raises(RefusedError, match="broke off at once: remove it"):
        resume.begin(again)


def test_a_cross_validation_of_another_recipe_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("one")
    folds = finalise(Options(data=(tmp_path / "data.csv",), out=tmp_path / "folds"))
    recipe = replace(folds, out=tmp_path / "all", refit=True, cross_validation=(folds.out,), baselines=False, threads=1)
    trials = [trial(("1",), 0.9), trial(("2",), 0.9, 1)]
    sound = summary(trials, name="folds", command="x", seen_before=(), plan=resume.plan(folds), length_s=4.0)

    def refused(match: str, **options: Any) -> None:
        with pytest.raises(RefusedError, match=match):
            resume.read_crossed(replace(recipe, **options))

    refused("holds no report of a cross-validation: make it with --folds")
    folds.out.mkdir()
    (folds.out / REPORT).write_text('{"figures": {}}')  # evaluate.py's
    refused("holds no report of a cross-validation: make it with --folds")
    (folds.out / REPORT).write_bytes(msgspec.json.encode(sound))
    refused(r"was made with length_s 4\.0, not 2\.0: cross-validate the same recipe", length_s=2.0)
    refused("was made with features .*, not .*: cross-validate", features=("v.std",))
    refused("was made with time_unit None, not ms: cross-validate", source=Source(time_unit="ms"))
    refused(r"lacks losses\.png: write the report anew")
    for picture in plots.ALL:
        (folds.out / picture).touch()
    assert resume.read_crossed(recipe) == {folds.out: sound}
    assert resume.read_crossed(replace(recipe, source=Source(unit="m/s2"))) == {folds.out: sound}
    shutil.copytree(folds.out, other := tmp_path / "other")
    refused("are both by subject: name one", cross_validation=(folds.out, other))
    (tmp_path / "data.csv").write_text("two")
    refused(r"was made with data data\.csv \(sha256 .*\), not data\.csv")
    assert resume.read_crossed(replace(recipe, cross_validation=())) == {}


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(tmp_path: Path) -> None:
    assert resume.last_checkpoint(tmp_path) is None
    for step, state in ((90, "{}"), (100, "{}"), (110, '{"epo'), (120, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / resume.STATE).write_text(state)
    assert resume.last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"
    assert json.loads((tmp_path / "checkpoint-100" / resume.STATE).read_text()) == {}
