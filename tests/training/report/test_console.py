"""The table before training: hours, windows and shares of each activity in each part, rejected records by reason."""

import io
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console
from training.data import loading, split
from training.report import console as display

from hard.recordings.default_rules import default_grid


@pytest.mark.parametrize("way", ["subject", "random"])
def test_the_data_are_told_before_training(recording: Path, way: str) -> None:
    runs, _ = loading.load([recording], None, None, "m/s2")
    labelled = loading.cut(runs, default_grid(4.0, 20.0, 1.0))
    labels = loading.ordered(labelled.truth)
    if way == "random":
        labelled, parts = split.at_random(labelled, 0)
    else:
        parts = split.covering(labelled, labels, ("5", "6"), 1, 0)
    shown = io.StringIO()
    console = Console(file=shown, width=160)
    display.show_rejected(console, Counter())
    display.show_data(console, runs, labelled=labelled, labels=labels, split=parts)
    told = shown.getvalue()
    assert "6 subjects, 0.1 hours in 18 runs, 396 windows of one activity" in told
    assert "rejected records: none" in told
    rows = {
        row[0]: row[1:] for line in told.splitlines() if len(row := [c.strip() for c in line.split("│")[1:-1]]) == 5
    }
    assert rows["Walking"][0] == "0.04"  # six times 25 s
    if way == "subject":
        assert rows["subjects"][3] == "2: 5 6"
        assert rows["Walking"][3] == "44 (33%)"
    counts = [int(cell.partition(" ")[0]) for label in labels for cell in rows[label][1:]]
    assert sum(counts) == sum(map(int, rows["windows"][1:])) == 396
    rejected = Counter({"not a number": 3, "all axes zero": 20, "repeated time": 0})
    display.show_rejected(console, rejected)
    lines = shown.getvalue().splitlines()[-5:]
    assert [line.split()[1:-1] for line in lines if "│" in line] == [
        ["all", "axes", "zero", "│", "20"],
        ["not", "a", "number", "│", "3"],
    ]
