"""The smoothed state."""

from __future__ import annotations

from hard.outputs.state import UNKNOWN, State, StateSmoother


def test_the_first_label_is_a_change() -> None:
    assert StateSmoother(5).update("Walking", 0.9, 10.0) == State("Walking", 10.0, 0.9)


def test_one_odd_window_changes_nothing() -> None:
    smoother = StateSmoother(3)
    smoother.update("Walking", 0.9, 0.0)
    smoother.update("Walking", 0.9, 1.0)
    assert smoother.update("Jogging", 0.9, 2.0) is None


def test_a_majority_changes_the_state_since_its_first_window() -> None:
    smoother = StateSmoother(3)
    for start, label in enumerate(["Walking", "Walking", "Walking", "Jogging"]):
        smoother.update(label, 0.8, float(start))
    assert smoother.update("Jogging", 0.6, 4.0) == State("Jogging", 3.0, 0.7)
    assert smoother.update("Jogging", 0.6, 5.0) is None


def test_a_tie_keeps_the_state() -> None:
    smoother = StateSmoother(2)
    smoother.update("Sitting", 0.9, 0.0)
    assert smoother.update("Standing", 0.9, 1.0) is None
    assert smoother.update("Standing", 0.9, 2.0) == State("Standing", 1.0, 0.9)


def test_unaccepted_windows_make_the_state_unknown() -> None:
    smoother = StateSmoother(1)
    smoother.update("Walking", 0.9, 0.0)
    assert smoother.update(UNKNOWN, 0.2, 1.0) == State(UNKNOWN, 1.0, 0.2)
