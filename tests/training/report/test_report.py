"""The report, from the commands that people type: folds, a leaky split, and a bundle evaluated elsewhere."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from support.scripts import script
from support.trials import trial
from training.errors import RefusedError
from training.report import markdown, plots, report
from training.results.cross_validation import FoldsReport, summary

from hard.model import bundle
from hard.model.leakage import SEEN_BEFORE

TINY = ("--features", "v.std,v.freq,m.q90,h.e2,tilt.cos,y.mean", "--levels", "8", "--copies", "1", "--lr", "0.01")
QUICK = ("--validation", "1", "--epochs", "2", "--batch", "16", "--threads", "1", *TINY)


def run(name: str, *arguments: str | Path) -> str:
    """What a script printed, which must not fail."""
    done = script(name, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_report_of_folds_has_figures_baselines_and_abstaining(tmp_path: Path) -> None:
    trials = [trial(("1", "2"), 0.95, 1), trial(("3", "4"), 0.9, 2), trial(("5",), 0.97, 3)]
    made = summary(trials, name="tiny", command="finetune.py x --folds 3", seen_before=("3",), plan={}, length_s=4.0)
    report.write_folds(tmp_path, made, trials)
    assert msgspec.json.decode((tmp_path / report.REPORT).read_bytes(), type=FoldsReport) == made
    page = (tmp_path / report.PAGE).read_text()
    for piece in (
        "| coin | +0.",
        "above",
        "Worst subject",
        "--folds 3",
        "min_confidence`: **",
        "all zeros",
        SEEN_BEFORE,
    ):
        assert piece in page
    for picture in plots.ALL:
        assert f"({picture})" in page
        assert (tmp_path / picture).is_file()


def test_a_bundle_takes_over_the_figures_of_its_cross_validation() -> None:
    trials = [trial(("1", "2"), 0.95, 1), trial(("3", "4"), 0.9, 2)]
    crossed = summary(trials, name="tiny", command="x", seen_before=(), plan={"lr": "1"}, length_s=4.0)
    places = ("chest", "wrist")
    by_place = summary(
        trials, name="tiny", command="x", seen_before=(), plan={"lr": "1"}, length_s=4.0, by="place", left_out=places
    )
    own = trial(("5",), 0.97, 3)
    metrics = report.bundle_metrics(own, [crossed, by_place])
    assert metrics.cross_validation is not None
    assert metrics.cross_validation.pooled == crossed.pooled
    assert [[fold.left_out for fold in one.folds] for one in metrics.left_out] == [["chest", "wrist"]]
    low = min(by_place.folds, key=lambda fold: fold.macro_f1)
    person, reached = by_place.pooled.worst_subject, min(by_place.pooled.macro_f1_by_subject.values())
    assert markdown.worst(by_place) == (
        f"Worst place: **{low.left_out}**, macro-F1 {low.macro_f1:.3f}. "
        f"Worst person: **{person}**, macro-F1 {reached:.3f}."
    )
    assert metrics.abstaining is not None
    assert metrics.abstaining.min_confidence == crossed.abstaining.min_confidence
    assert metrics.abstaining.source.startswith("over all folds")
    assert report.bundle_metrics(own).cross_validation is None


def test_a_folder_that_is_no_report_is_not_overwritten(tmp_path: Path) -> None:
    report.check_out(None)
    report.check_out(tmp_path)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RefusedError, match="exists and is no report"):
        report.check_out(tmp_path)
    (tmp_path / report.REPORT).write_text("{}")
    report.check_out(tmp_path)


def test_a_fold_that_is_refused_ends_the_others_in_one_sentence(recording: Path, tmp_path: Path) -> None:
    few = ("--max-tokens", "5", "--threads", "1", *TINY)
    done = script("finetune.py", recording, "--out", tmp_path / "cv", "--folds", "5", "--jobs", "2", *few)
    assert done.returncode == 2
    assert re.fullmatch(r"finetune\.py: fold \d: a prompt has 7 tokens, over the limit of 5: .*\n", done.stderr)


@pytest.mark.parametrize("by", ["place", "activity"])
def test_each_place_or_activity_is_left_out_in_turn(recording: Path, tmp_path: Path, by: str) -> None:
    out, other = tmp_path / by, tmp_path / "watch.txt"
    other.write_text("\n".join("w" + line for line in recording.read_text().splitlines()))
    places = ("--place", "watch.txt=left wrist", "--place", "six.txt=pocket")
    printed = run("finetune.py", recording, other, "--out", out, "--folds", by, "--jobs", "2", *places, *QUICK)
    found = msgspec.json.decode((out / "report.json").read_bytes(), type=FoldsReport)
    assert found.by == by
    names = {"place": ["pocket", "wrist"], "activity": ["Jogging", "Sitting", "Walking"]}[by]
    assert [fold.left_out for fold in found.folds] == names
    assert f"fold 2 (without {by}={names[1]}): accuracy" in printed
    assert list(found.baselines_over_folds) == ["majority", "boosting, mean and std", "boosting, same features"]
    page = (out / "README.md").read_text()
    assert f"folds by {by}: every {by} is" in page
    for name in names:
        assert f"| {name} | " in page
    if by == "place":
        assert set(found.folds[0].macro_f1_by_place) == {"pocket"}
        assert set(found.folds[0].subjects) == set("123456")
    else:
        assert list(found.unknown) == names
        assert "Jogging" not in found.folds[0].f1
        assert "left out: AUROC" in printed


@pytest.mark.slow
def test_folds_then_a_model_trained_on_everybody(recording: Path, tmp_path: Path) -> None:
    crossed, out = tmp_path / "crossed", tmp_path / "all"
    printed = run("finetune.py", recording, "--out", crossed, "--folds", "3", "--jobs", "2", *QUICK)
    found = json.loads((crossed / "report.json").read_text())
    assert sorted(s for fold in found["folds"] for s in fold["subjects"]) == list("123456")
    assert set(found["against"]) == {"majority", "boosting, mean and std", "boosting, same features", "CNN"}
    assert found["against"]["majority"]["verdict"] == "above"
    assert "majority: above" in printed
    assert bundle.verify(crossed / "folds" / "2") == []
    (crossed / "folds" / "2.npz").unlink()
    again = run("finetune.py", recording, "--out", crossed, "--folds", "3", "--jobs", "2", "--resume", *QUICK)
    assert "fold 2 (" in again
    assert "fold 1 (" not in again
    assert json.loads((crossed / "report.json").read_text())["pooled"] == found["pooled"]
    run("finetune.py", recording, "--out", out, "--refit", "--cross-validation", crossed, *QUICK)
    assert bundle.verify(out) == []
    metrics = bundle.read(out).manifest.training.metrics
    crossed_figures, abstaining, on_train = metrics.cross_validation, metrics.abstaining, metrics.train
    assert crossed_figures
    assert abstaining
    assert on_train
    assert msgspec.to_builtins(crossed_figures.pooled) == found["pooled"]
    assert abstaining.min_confidence == found["abstaining"]["min_confidence"]
    card = (out / "README.md").read_text()
    assert "3 models of the same recipe" in card
    assert "## Figures, train (LEAKY, the weights learnt from these)" in card
    epochs = bundle.read(out).manifest.training.epochs
    assert f"after epoch {metrics.epoch:g}, its best. This one learnt from them too, for {epochs:g} epochs: as" in card
    printed = run("evaluate.py", out, recording)
    assert f"macro-F1 {on_train.macro_f1:.3f} on {on_train.windows} windows" in printed
    assert "LEAKY: this bundle was trained on" in printed


def test_a_random_split_marks_all_that_comes_of_it(recording: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "leaky", tmp_path / "report"
    printed = run("finetune.py", recording, "--out", out, "--split", "random", "--no-baselines", *QUICK[2:])
    assert "test subjects (LEAKY, windows split at random): accuracy" in printed
    card = (out / "README.md").read_text()
    assert card.startswith("# leaky (LEAKY, windows split at random)")
    assert "## Figures, test (LEAKY" in card
    training = bundle.read(out).manifest.training
    assert training.split == "random"
    assert training.metrics.test is not None
    assert b"LEAKY" not in msgspec.json.encode(training.metrics)
    printed = run("evaluate.py", out, recording, "--subjects", "5", "--out", folder, "--changed")
    assert "LEAKY: this bundle was trained on the subjects 5, windows split at random" in printed
    assert (folder / "README.md").read_text().partition("\n")[0].endswith("(LEAKY)")
    assert json.loads((folder / "report.json").read_text())["seen_before"] == ["5"]
    reached = json.loads((folder / "report.json").read_text())["perturbations"]
    assert {"as recorded", "turned at random", "20 Hz, polled"} <= reached.keys()
    assert abs(reached["turned at random"] - reached["as recorded"]) <= 0.02
    assert "| turned at random | " in (folder / "README.md").read_text()
