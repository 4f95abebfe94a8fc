"""What a bundle predicted, its figures, and its way to disk and back."""

from pathlib import Path

import numpy as np
import pytest
from support.trials import LABELS, known, outcome, trial
from training.data.loading import LabelledWindows
from training.loop.trained import Epoch
from training.results.confidence import Certainty
from training.results.outcome import (
    BACKWARDS,
    BEFORE_CALIBRATED,
    CALIBRATED,
    STATES,
    STATES_LATER,
    TWO_PASS,
    Trial,
    best_epoch,
    figures,
    losses_of,
    metrics_of,
    outcome_of,
    pooled,
)

from hard.records import Prediction, Window


def test_a_trial_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    before = trial(("1", "2"), 0.9, test_loss=0.4, written=("Walking", "Sitting"))
    before.unknown["Lying, wrist"] = Certainty(np.linspace(0, 1, 3), np.linspace(1, 0, 3))
    before.save(tmp_path / "t.npz")
    after = Trial.load(tmp_path / "t.npz")
    assert after.history == before.history
    assert (after.prompt_tokens, after.test_loss, after.samples) == (12, 0.4, before.samples)
    assert after.parts["test"].labels == LABELS
    for part in ("test", "validation"):
        np.testing.assert_array_equal(after.parts[part].probabilities, before.parts[part].probabilities)
        np.testing.assert_array_equal(after.parts[part].baselines["coin"][1], before.parts[part].baselines["coin"][1])
    for group in ("out_of_distribution", "unknown"):
        for kind, certainty in getattr(before, group).items():
            np.testing.assert_array_equal(getattr(after, group)[kind], certainty)
    assert after.unknown.keys() == {"Lying, wrist"}
    assert after.parts.keys() == before.parts.keys()
    assert figures(after.parts["test"], after.beside) == figures(before.parts["test"], before.beside)


def test_figures_are_by_label_and_by_subject_with_baselines_beside() -> None:
    found = figures(outcome(("1", "2"), 0.9))
    assert (found.windows, set(found.f1), set(found.macro_f1_by_subject)) == (100, set(LABELS), {"1", "2"})
    assert found.worst_subject == min(found.macro_f1_by_subject, key=found.macro_f1_by_subject.__getitem__)
    assert found.accuracy > 0.8 > found.baselines["coin"].accuracy
    assert found.calibration_error != found.calibration_error_before  # at a temperature of 1.5


def test_pooled_outcomes_keep_windows_and_baselines() -> None:
    both = pooled([outcome(("1",), 0.9), outcome(("2", "3"), 0.8, seed=1)])
    assert len(both) == 150
    assert [len(labels) for labels in both.baselines["coin"]] == [150, 150]
    assert len(both.at(both.subject == "2")) == 50


def test_an_outcome_is_made_of_predictions() -> None:
    xyz = np.zeros((80, 3), np.float32)
    window = Window("anna", 0.0, 4.0, xyz, 1.0, xyz[0], xyz[0], False, 0.0, 0.0, 0.0)
    made = Prediction(window, "Sitting", 0.8, np.array([0.2, 0.8]))
    truth, subject, place, dataset = (np.array([name]) for name in ("Walking", "anna", "left wrist", "mine"))
    windows = LabelledWindows((window,), truth, subject, place, dataset, subject, learnt=(window,))
    found = outcome_of([made], windows, LABELS, 1.2)
    assert (found.subject.tolist(), found.place.tolist(), found.dataset.tolist()) == (
        ["anna"],
        ["left wrist"],
        ["mine"],
    )
    assert found.predictions.tolist() == ["Sitting"]
    assert not found.right.any()


def test_the_metrics_of_a_trial_are_judged_by_its_test_windows() -> None:
    metrics = metrics_of(trial(("1", "2"), 0.95, test_loss=0.4))
    assert metrics.parts.keys() == {"test", "validation"}
    assert metrics.epoch == 2.0
    assert metrics.abstaining is not None
    assert metrics.losses is not None
    assert metrics.losses.test == 0.4


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), None])
def test_a_loss_that_is_not_finite_is_none(loss: float | None) -> None:
    made = Trial({}, (Epoch(1.0, 0.5, loss, None),), 12, {}, loss)
    losses = losses_of(made)
    assert (losses.training, losses.validation, losses.test) == ((0.5,), (None,), None)
    assert best_epoch(made) is None


def test_either_of_two_labels_is_right_for_a_window_of_one_of_them_and_no_f1_counts_it() -> None:
    labels, stairs = ("Upstairs", "Downstairs", "Sitting"), "Upstairs|Downstairs"
    coin = np.array(["Upstairs", "Sitting", "Upstairs", "Sitting"])
    made = known(labels, ["Upstairs", "Sitting", stairs, stairs], np.eye(3)[[0, 2, 1, 2]], coin=[coin])
    found = figures(made)
    assert made.right.tolist() == [True, True, True, False]
    assert (found.windows, found.accuracy, found.macro_f1) == (4, 0.75, 1.0)
    assert found.f1 == {"Upstairs": 1.0, "Sitting": 1.0}
    assert (found.baselines["coin"].accuracy, found.baselines["coin"].macro_f1) == (0.75, 1.0)


def test_macro_f1_is_by_place_too_where_one_is_stated() -> None:
    truth, place = ["Walking", "Sitting"] * 2, ["left wrist", "left wrist", "", ""]
    found = figures(known(LABELS, truth, np.eye(2)[[0, 1, 1, 1]], place=place))
    assert found.macro_f1_by_place == {"left wrist": 1.0, "not stated": 0.3333}
    assert found.worst_place == "not stated"
    assert figures(outcome(("1",), 0.9)).macro_f1_by_place == {}


def test_beside_stand_windows_before_and_once_calibrated_two_passes_and_the_reverse_order() -> None:
    made = trial(("1", "2"), 0.9)
    found = figures(made.parts["test"], made.beside)
    assert list(found.beside) == [
        BEFORE_CALIBRATED,
        CALIBRATED,
        TWO_PASS,
        BACKWARDS,
        STATES,
        STATES_LATER,
        f"{BACKWARDS}, {CALIBRATED}",
    ]
    assert [short.windows for short in found.beside.values()] == [20, 80, 100, 100, 100, 100, 80]
    assert found.beside[TWO_PASS].macro_f1 == round(made.beside[TWO_PASS].score.macro_f1, 4)
    assert list(metrics_of(made).parts["validation"].beside) == [BEFORE_CALIBRATED, CALIBRATED]
