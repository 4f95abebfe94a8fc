"""Truths are named as the bundle's labels are; a window of one of several labels is right with each of them."""

import numpy as np
import pytest

from hard.commands import truths
from hard.errors import UsageError
from hard.recordings.recordings import Recording

LABELS = ("Walking", "Upstairs", "Downstairs", "Sitting")


def recording(*names: str) -> Recording:
    return Recording("a", np.arange(len(names), dtype=float), np.zeros((len(names), 3)), np.array(names))


def test_names_are_the_labels_by_case_by_pair_and_some_are_dropped() -> None:
    pairs = (("Upstairs|Downstairs", "Stairs"),)
    runs = truths.named([recording("walking", "Stairs", "Lying", "")], LABELS, pairs, drop=("Lying",))
    assert runs[0].truth is not None
    assert runs[0].truth.tolist() == ["Walking", "Upstairs|Downstairs", "", ""]
    truths.check("file", runs, LABELS)
    with pytest.raises(UsageError, match=r"file: its truths \(Lying\) are none of the bundle's labels \(Walking, "):
        truths.check("file", [recording("Lying", "")], LABELS)


def test_one_of_several_labels_is_scored_apart() -> None:
    one = [("Walking", "Walking", True), ("Sitting", "Walking", True)]
    several = [("Upstairs|Downstairs", label, True) for label in ("Upstairs", "Downstairs", "Walking", "unknown")]
    first, second, *table = truths.score_text([*one, *several], LABELS).splitlines()
    assert first == "2 windows of one known truth: accuracy 0.5000, macro-F1 0.3333"
    assert second == "4 windows of one of several labels: accuracy 0.5000"
    assert [line.split()[0] for line in table] == ["truth", "Walking", "Sitting"]
    assert truths.score_text(several, LABELS) == second


def test_a_parent_is_right_for_all_labels_that_a_truth_may_be() -> None:
    parents = {"on foot": LABELS[:3], "still": ("Sitting",)}
    scored = [
        ("Upstairs|Downstairs", "on foot", True),
        ("Walking|Sitting", "on foot", True),
        ("Sitting", "still", True),
    ]
    assert truths.parents_text(scored, parents, 2.0).startswith("states at 2 s lag; 66.67% ")
