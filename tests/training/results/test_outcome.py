"""What a bundle predicted, and its figures."""

import numpy as np
from support.trials import LABELS, known, outcome, trial
from training.data.loading import LabelledWindows
from training.results.outcome import (
    BACKWARDS,
    BEFORE_CALIBRATED,
    CALIBRATED,
    STATES,
    STATES_LATER,
    TWO_PASS,
    figures,
    outcome_of,
    pooled,
)
from training.results.trial import metrics_of

from hard.records import Prediction, Window


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
