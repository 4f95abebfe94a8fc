"""Which labels are accepted, and which parents stand for the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hard.outputs.acceptance import Acceptance
from hard.records import PROBLEMS, UNUSABLE, Prediction, Window

LABELS = ("Walking", "Upstairs", "Sitting", "Standing")
PARENTS = {"on foot": LABELS[:2], "still": LABELS[2:]}


def prediction(*probabilities: float, familiar: float | None = None) -> Prediction:
    up = np.array([0, 1, 0], np.float32)
    window = Window("d", 0.0, 4.0, np.zeros((80, 3), np.float32), 1.0, up, up, True, 0.0, 0.0, 0.0)
    best = int(np.argmax(probabilities))
    return Prediction(window, LABELS[best], probabilities[best], np.array(probabilities), familiar)


def test_a_label_is_accepted_from_the_threshold_on() -> None:
    acceptance = Acceptance(LABELS, PARENTS, 0.8)
    assert acceptance.accepts(prediction(0.8, 0.2, 0, 0))
    assert not acceptance.accepts(prediction(0.79, 0.21, 0, 0))


@pytest.mark.parametrize(
    ("probabilities", "parent"),
    [
        ((0.05, 0.05, 0.5, 0.4), "still"),
        ((0.45, 0.45, 0.1, 0.0), "on foot"),
        ((0.4, 0.1, 0.4, 0.1), None),
        ((0.9, 0.1, 0.0, 0.0), None),  # the label itself is accepted
    ],
)
def test_the_parent_is_the_one_whose_labels_reach_the_threshold_together(
    probabilities: tuple[float, ...], parent: str | None
) -> None:
    assert Acceptance(LABELS, PARENTS, 0.8).parent(prediction(*probabilities)) == parent


def test_an_unfamiliar_window_has_neither_an_accepted_label_nor_a_parent() -> None:
    acceptance = Acceptance(LABELS, PARENTS, 0.8, 0.05)
    assert acceptance.accepts(prediction(0.9, 0.1, 0, 0, familiar=0.05))
    assert not acceptance.accepts(prediction(0.9, 0.1, 0, 0, familiar=0.04))
    assert acceptance.accepts(prediction(0.9, 0.1, 0, 0, familiar=None)), "a bundle that can't say"
    assert acceptance.parent(prediction(0.5, 0.5, 0, 0, familiar=0.05)) == "on foot"
    assert acceptance.parent(prediction(0.5, 0.5, 0, 0, familiar=0.04)) is None


def test_without_parents_there_is_none() -> None:
    assert Acceptance(LABELS, {}, 0.8).parent(prediction(0.25, 0.25, 0.25, 0.25)) is None


@pytest.mark.parametrize(
    "changes", [{"worn": False}, *({"problems": ("gaps", kind)} for kind in PROBLEMS if kind in UNUSABLE)]
)
def test_a_window_that_is_not_usable_has_neither_an_accepted_label_nor_a_parent(changes: dict[str, Any]) -> None:
    sure, half = (prediction(*p) for p in ((0.99, 0.01, 0, 0), (0.5, 0.5, 0, 0)))
    acceptance = Acceptance(LABELS, PARENTS, 0.8)
    for one in (sure, half):
        unusable = replace(one, window=replace(one.window, **changes))
        assert not acceptance.accepts(unusable)
        assert acceptance.parent(unusable) is None


@pytest.mark.parametrize("kind", [kind for kind in PROBLEMS if kind not in UNUSABLE])
def test_other_problems_only_inform(kind: str) -> None:
    one = prediction(0.99, 0.01, 0, 0)
    assert Acceptance(LABELS, PARENTS, 0.8).accepts(replace(one, window=replace(one.window, problems=(kind,))))
