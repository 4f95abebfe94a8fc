"""How a state filter goes on and weighs windows is fitted to predictions whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from training.results.states import SHARES, STAYS, fit, scored

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


def test_lasting_activities_are_told_apart_from_quick_ones() -> None:
    lasting = recording("3", ["Walking"] * 300, right=0.6)
    quick = recording("3", (["Walking"] * 8 + ["Sitting"] * 8) * 20, right=0.97)
    assert fit(lasting, LABELS, 1.0).stay > fit(quick, LABELS, 1.0).stay


def test_the_fit_is_one_of_the_grid_and_its_loss_a_mean_over_subjects() -> None:
    labelled = [*recording("3", ["Walking"] * 50, 0.9), *recording("9", ["Sitting"] * 50, 0.9, seed=1)]
    found = fit(labelled, LABELS, 1.0)
    assert found.stay in STAYS
    assert found.states.tempering * 4 in SHARES
    assert found.states.transition[0] == (found.stay, pytest.approx(1 - found.stay))
    assert 0 < found.loss < np.log(2)
    assert (found.subjects, found.unsure <= 2) == (2, True)


def test_windows_without_one_truth_do_not_count() -> None:
    labelled = recording("3", ["Walking", None, "Cycling"], 1.0)
    assert fit(labelled, LABELS, 1.0).loss == pytest.approx(-np.log(0.9))
    assert scored([(one, prediction.label) for one, prediction in labelled]) == (
        ["Walking", "Cycling"],
        ["Walking", "Sitting"],
    )
