"""The smoothed state."""

from __future__ import annotations

from hard.outputs.state import UNKNOWN, Activity, State


def test_the_first_label_is_a_change() -> None:
    assert Activity(5).update("Walking", 0.9, 10.0) == State("Walking", 10.0, 0.9)


def test_one_odd_window_changes_nothing() -> None:
    activity = Activity(3)
    activity.update("Walking", 0.9, 0.0)
    activity.update("Walking", 0.9, 1.0)
    assert activity.update("Jogging", 0.9, 2.0) is None


def test_a_majority_changes_the_state_since_its_first_window() -> None:
    activity = Activity(3)
    for start, label in enumerate(["Walking", "Walking", "Walking", "Jogging"]):
        activity.update(label, 0.8, float(start))
    assert activity.update("Jogging", 0.6, 4.0) == State("Jogging", 3.0, 0.7)
    assert activity.update("Jogging", 0.6, 5.0) is None


def test_a_tie_keeps_the_state() -> None:
    activity = Activity(2)
    activity.update("Sitting", 0.9, 0.0)
    assert activity.update("Standing", 0.9, 1.0) is None
    assert activity.update("Standing", 0.9, 2.0) == State("Standing", 1.0, 0.9)


def test_unaccepted_windows_make_the_state_unknown() -> None:
    activity = Activity(1)
    activity.update("Walking", 0.9, 0.0)
    assert activity.update(UNKNOWN, 0.2, 1.0) == State(UNKNOWN, 1.0, 0.2)
