"""How a state filter goes on and weighs windows is fitted to predictions whose truth is known; states are judged."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from training.results.states import SHARES, STAYS, StatesFit, choose, losses, outcome_of_states

from hard.recordings.recordings import LabelledWindow
from hard.records import Prediction, Window

LABELS = ("Walking", "Sitting")
UP = np.zeros(3, np.float32)


def recording(
    subject: str, truths: list[str | None], right: float, seed: int = 0
) -> list[tuple[LabelledWindow, Prediction]]:
    """A window a second, `right` of which favour the truth."""
    random, made = np.random.default_rng(seed), []
    for start, truth in enumerate(truths):
        window = Window(subject, start, start + 4, np.zeros((80, 3), np.float32), 1.0, UP, UP, True, 0.0, start, start)
        favoured = (truth == "Walking") == (random.random() < right)
        probabilities = np.array([0.9, 0.1] if favoured else [0.1, 0.9])
        label = LABELS[int(probabilities.argmax())]
        made.append((LabelledWindow(window, truth, subject, None), Prediction(window, label, 0.9, probabilities)))
    return made


def fit(labelled: list[tuple[LabelledWindow, Prediction]]) -> StatesFit:
    return choose(losses(labelled, LABELS, 1.0), LABELS, 4.0)


def test_lasting_activities_are_told_apart_from_quick_ones() -> None:
    lasting = recording("3", ["Walking"] * 300, right=0.6)
    quick = recording("3", (["Walking"] * 8 + ["Sitting"] * 8) * 20, right=0.97)
    assert fit(lasting).stay > fit(quick).stay


def test_the_fit_is_one_of_the_grid_and_its_loss_a_mean_over_subjects() -> None:
    labelled = [*recording("3", ["Walking"] * 50, 0.9), *recording("9", ["Sitting"] * 50, 0.9, seed=1)]
    found = fit(labelled)
    assert found.stay in STAYS
    assert found.states.tempering * 4 in SHARES
    assert found.states.transition[0] == (found.stay, pytest.approx(1 - found.stay))
    assert 0 < found.loss < np.log(2)
    assert (found.subjects, found.unsure <= 2) == (2, True)


def test_windows_without_one_truth_do_not_count() -> None:
    labelled = recording("3", ["Walking", None, "Cycling"], 1.0)
    assert fit(labelled).loss == pytest.approx(-np.log(0.9))


def test_the_folds_people_together_choose_as_one() -> None:
    first, second = recording("3", ["Walking"] * 50, 0.9), recording("9", ["Sitting"] * 50, 0.7, seed=1)
    apart = [losses(labelled, LABELS, 1.0) for labelled in (first, second)]
    assert choose(np.concatenate(apart, axis=1), LABELS, 4.0) == fit([*first, *second])


def test_states_of_windows_of_a_known_truth_are_judged_at_once_and_later() -> None:
    labelled = recording("3", ["Walking"] * 30 + [None] * 3 + ["Sitting"] * 30, right=0.8)
    states = fit(labelled).states
    labels = np.mean([prediction.label == one.truth for one, prediction in labelled if one.truth])
    at_once, later = (outcome_of_states(labelled, LABELS, states, 1.0, lag_s) for lag_s in (0.0, 2.0))
    assert at_once.truth.tolist() == later.truth.tolist() == ["Walking"] * 30 + ["Sitting"] * 30
    assert at_once.right.mean() > labels
    assert not np.array_equal(at_once.confidence, later.confidence)
    assert (at_once.confidence >= 0.5).all()
