"""The tables before training and after: hours, windows and shares of each activity in each part, rejected records."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.trials import trial
from training.data import dataset, loading
from training.options import Options
from training.recipe import finalise
from training.report.console import show_base, show_data, show_folds, show_metrics, show_rejected
from training.results.cross_validation import summary
from training.results.trial import metrics_of

from hard.model import bundle


@pytest.mark.parametrize("split", ["subject", "random"])
def test_hours_windows_and_subjects_are_shown_before_training(recording: Path, split: str) -> None:
    given: dict[str, Any] = {"holdout": ("5", "6"), "validation": 1} if split == "subject" else {"split": split}
    recipe = finalise(Options(data=(recording,), out=Path("none"), **given))
    runs, _ = loading.load(recipe.data, recipe.source)
    shown = io.StringIO()
    console = Console(file=shown, width=160)
    show_rejected(console, Counter())
    show_data(console, runs, dataset.split_windows(recipe, runs))
    text = shown.getvalue()
    assert "6 subjects, 0.1 hours in 18 runs, 396 windows of one activity" in text
    assert "rejected records: none" in text
    rows = {
        row[0]: row[1:] for line in text.splitlines() if len(row := [c.strip() for c in line.split("│")[1:-1]]) == 5
    }
    assert rows["Walking"][0] == "0.04"  # six times 25 s
    if split == "subject":
        assert rows["subjects"][3] == "2: 5 6"
        assert rows["Walking"][3] == "44 (33%)"
    labels = ("Walking", "Jogging", "Sitting")
    counts = [int(cell.partition(" ")[0]) for label in labels for cell in rows[label][1:]]
    assert sum(counts) == sum(map(int, rows["windows"][1:])) == 396


def test_rejected_records_are_shown_by_reason() -> None:
    shown = io.StringIO()
    show_rejected(Console(file=shown), Counter({"not a number": 3, "all axes zero": 20, "repeated time": 0}))
    assert [line.split()[1:-1] for line in shown.getvalue().splitlines() if "│" in line] == [
        ["all", "axes", "zero", "│", "20"],
        ["not", "a", "number", "│", "3"],
    ]


def test_new_labels_lacking_labels_and_people_seen_before_are_named(known: Path) -> None:
    recipe = finalise(Options(data=(known,), out=Path("none"), base="default", holdout=("3", "5"), validation=1))
    runs, _ = loading.load(recipe.data, recipe.source)
    shown = io.StringIO()
    windows = dataset.split_windows(recipe, runs)
    show_base(Console(file=shown, width=300), bundle.read(), windows)
    text = shown.getvalue()
    assert f"LEAKY: default has seen the subjects {windows.split.validation[0]}, 5; their figures say nothing" in text
    assert "the recordings have no Upstairs, Downstairs, Standing: the label is kept" in text
    assert "new labels" not in text


def test_the_end_of_a_fine_tune_shows_figures_threshold_and_requirements() -> None:
    shown = io.StringIO()
    show_metrics(
        Console(file=shown, width=160), metrics_of(trial(("1", "2"), 0.9, test_loss=0.5, written=("Walking",)))
    )
    text = shown.getvalue()
    for piece in ("macro-F1 by subject 1: ", "recommended labels.min_confidence 0.", "test loss finite", "coin"):
        assert piece in text


def test_folds_are_shown_with_their_mean_and_the_verdicts() -> None:
    trials = [trial(("1", "2"), 0.95, 1), trial(("3", "4"), 0.9, 2), trial(("5",), 0.97, 3)]
    shown = io.StringIO()
    show_folds(
        Console(file=shown, width=160), summary(trials, name="x", command="x", seen_before=(), plan={}, length_s=4.0)
    )
    assert "coin: above, macro-F1 +0." in shown.getvalue()
    assert "all test windows together: accuracy 0." in shown.getvalue()
