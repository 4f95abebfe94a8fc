"""From predictions to states: by a filter, or by the majority of the last windows."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hard.outputs.acceptance import Acceptance
from hard.outputs.state import MAX_PENDING, UNKNOWN, MajoritySmoother, Smoother, StateChange, StateFilter, StateUpdate
from hard.records import Prediction, State, StateMemory, Window

LABELS = ("Walking", "Upstairs", "Sitting")
STAY, TEMPERING = 0.95, 0.25
TRANSITION = [[STAY if i == k else (1 - STAY) / 2 for i in range(3)] for k in range(3)]
UP = np.zeros(3, np.float32)


def state_filter(threshold: float = 0.0, lag_s: float = 0.0, hop_s: float = 1.0) -> StateFilter:
    return StateFilter(
        Acceptance(LABELS, {"on foot": LABELS[:2]}, threshold), TRANSITION, tempering=TEMPERING, hop_s=hop_s,
        lag_s=lag_s,
    )  # fmt: skip


def prediction(start: float, probabilities: tuple[float, ...], label: str | None = None) -> Prediction:
    window = Window("a", start, start + 4, np.zeros((80, 3), np.float32), 1.0, UP, UP, True, 0.0, start, start)
    best = int(np.argmax(probabilities))
    return Prediction(window, label or LABELS[best], probabilities[best], np.array(probabilities))


def surely(label: str, share: float = 0.98) -> tuple[float, ...]:
    return tuple(share if label == name else (1 - share) / 2 for name in LABELS)


class Wearer:
    """One device's windows through a smoother."""

    def __init__(self, smoother: Smoother) -> None:
        self.smoother = smoother
        self.memory: StateMemory | None = None
        self.changes: list[StateChange] = []
        self.states: list[State] = []

    def window(self, start: float, probabilities: tuple[float, ...], *, accepted: bool = True) -> StateUpdate:
        return self.take(self.smoother.update(self.memory, prediction(start, probabilities), accepted=accepted))

    def does(self, label: str, begin: int, end: int, share: float = 0.98) -> None:
        for start in range(begin, end):
            self.window(float(start), surely(label, share))

    def end(self) -> StateUpdate:
        assert self.memory
        return self.take(self.smoother.end(self.memory))

    def take(self, update: StateUpdate) -> StateUpdate:
        self.memory = update.memory
        self.changes += update.changes
        self.states += update.states
        return update

    @property
    def dated(self) -> list[tuple[str | None, str, float]]:
        return [(change.before, change.state.label, change.state.since) for change in self.changes]


def test_the_first_window_gives_the_state() -> None:
    wearer = Wearer(state_filter())
    wearer.window(10.0, surely("Sitting"))
    assert wearer.changes == [StateChange(None, State("Sitting", 10.0, pytest.approx(0.98)))]


def test_one_odd_window_changes_nothing() -> None:
    wearer = Wearer(state_filter())
    wearer.does("Walking", 0, 10)
    wearer.window(10.0, surely("Upstairs"))
    wearer.does("Walking", 11, 20)
    assert wearer.dated == [(None, "Walking", 0.0)]


def test_several_windows_change_the_state_from_the_window_that_decides() -> None:
    wearer = Wearer(state_filter())
    wearer.does("Walking", 0, 10)
    wearer.does("Sitting", 10, 20)
    (_, second) = wearer.dated
    assert second[:2] == ("Walking", "Sitting")
    assert 11 <= second[2] <= 14


def test_with_a_lag_a_change_is_dated_where_it_was_and_there_is_one_state_a_window() -> None:
    now, later = Wearer(state_filter()), Wearer(state_filter(lag_s=4.0))
    for wearer in (now, later):
        wearer.does("Walking", 0, 10)
        wearer.does("Sitting", 10, 20)
        wearer.end()
    assert later.dated[1][:2] == ("Walking", "Sitting")
    assert 9 <= later.dated[1][2] <= 10 < now.dated[1][2]
    assert (
        [state.since for state in later.states] == [state.since for state in now.states] == list(map(float, range(20)))
    )


def test_the_end_gives_what_was_pending_and_then_unknown_from_the_end_of_the_last_window() -> None:
    wearer = Wearer(state_filter(lag_s=60.0))
    wearer.does("Walking", 0, 10)
    wearer.does("Sitting", 10, 20)
    assert wearer.dated == []
    wearer.end()
    assert [dated[:2] for dated in wearer.dated] == [(None, "Walking"), ("Walking", "Sitting"), ("Sitting", UNKNOWN)]
    assert wearer.changes[-1].state == State(UNKNOWN, 23.0, 0.0)
    assert wearer.end().changes == (), "it is unknown already"
    wearer.window(500.0, surely("Walking"))
    wearer.end()
    assert [dated[:2] for dated in wearer.dated[3:]] == [(UNKNOWN, "Walking"), ("Walking", UNKNOWN)]


@pytest.mark.parametrize("start", [16.0, -100.0])
def test_after_a_gap_or_a_clock_set_back_a_run_begins_from_equal_probabilities(start: float) -> None:
    wearer = Wearer(state_filter(lag_s=2.0))
    wearer.does("Walking", 0, 10)
    wearer.window(start, (0.3, 0.1, 0.6))
    assert wearer.states[9].label == "Walking", "the run before has all its states"
    wearer.end()
    assert wearer.states[10] == State("Sitting", start, pytest.approx(0.6))


def test_windows_that_never_overlap_are_one_run() -> None:
    wearer = Wearer(state_filter(hop_s=6.0))
    for start in (0.0, 6.0, 12.0):
        wearer.window(start, surely("Walking"))
    wearer.window(18.0, (0.4, 0.1, 0.5))
    assert wearer.dated == [(None, "Walking", 0.0)]


def test_below_the_threshold_the_state_is_the_parent_whose_children_reach_it_or_unknown() -> None:
    wearer = Wearer(state_filter(threshold=0.8))
    wearer.window(0.0, (0.5, 0.45, 0.05))
    wearer.window(100.0, (0.45, 0.1, 0.45))
    wearer.window(200.0, (0.1, 0.05, 0.85))
    assert [change.state.label for change in wearer.changes] == ["on foot", UNKNOWN, "Sitting"]
    assert [change.state.confidence for change in wearer.changes] == [pytest.approx(p) for p in (0.95, 0.45, 0.85)]


def test_windows_of_too_little_confidence_add_up() -> None:
    wearer = Wearer(state_filter(threshold=0.8))
    for start in range(30):
        wearer.window(float(start), (0.7, 0.15, 0.15), accepted=False)
    assert wearer.changes[-1].state.label == "Walking"


def test_a_window_that_is_not_accepted_in_spite_of_its_confidence_says_nothing() -> None:
    wearer = Wearer(state_filter(threshold=0.8))
    wearer.does("Walking", 0, 10)
    for start in range(10, 40):
        wearer.window(float(start), surely("Sitting"), accepted=False)
    assert [change.state.label for change in wearer.changes] == ["Walking", "on foot", UNKNOWN]


def test_windows_that_are_not_familiar_enough_say_nothing_however_confident() -> None:
    acceptance = Acceptance(LABELS, {}, 0.8, 0.05)
    smoother = StateFilter(acceptance, TRANSITION, tempering=TEMPERING, hop_s=1.0, lag_s=0.0)
    memory: StateMemory | None = None
    for start, (label, share, familiar) in enumerate([("Walking", 0.98, 0.5)] * 10 + [("Sitting", 0.7, 0.01)] * 30):
        made = replace(prediction(float(start), surely(label, share)), familiar=familiar)
        memory = smoother.update(memory, made, accepted=acceptance.accepts(made)).memory
    assert memory is not None
    assert memory.state is not None
    assert memory.state.label == UNKNOWN


def test_without_a_threshold_too_it_fades_to_unknown() -> None:
    wearer = Wearer(StateFilter(
        Acceptance(LABELS, {}, 0.0), TRANSITION, tempering=TEMPERING, hop_s=1.0, lag_s=0.0
    ))  # fmt: skip
    wearer.does("Walking", 0, 10)
    for start in range(10, 40):
        wearer.window(float(start), surely("Sitting"), accepted=False)
    assert [change.state.label for change in wearer.changes] == ["Walking", UNKNOWN]
    wearer.does("Sitting", 40, 45)
    assert wearer.changes[-1].state.label == "Sitting"


def test_the_same_window_again_changes_nothing() -> None:
    wearer = Wearer(state_filter(lag_s=2.0))
    wearer.does("Walking", 0, 5)
    before = wearer.memory
    assert wearer.window(4.0, surely("Sitting")) == StateUpdate(before, (), ())  # type: ignore[arg-type]


def test_half_the_hop_gives_nearly_the_same_state() -> None:
    whole, half = Wearer(state_filter()), Wearer(state_filter(hop_s=0.5))
    for start in range(20):
        whole.window(float(start), (0.5, 0.2, 0.3))
    for start in range(40):
        half.window(start / 2, (0.5, 0.2, 0.3))
    assert half.states[-1].confidence == pytest.approx(whole.states[-1].confidence, abs=0.02)


def test_under_another_label_set_the_filter_begins_anew_and_the_state_holds() -> None:
    wearer = Wearer(state_filter())
    wearer.does("Walking", 0, 10)
    wearer.smoother = StateFilter(
        Acceptance(("Sitting", "Walking", "Cycling"), {}, 0.0), TRANSITION, tempering=TEMPERING, hop_s=1.0, lag_s=0
    )
    wearer.window(10.0, (0.3, 0.6, 0.1))
    assert wearer.dated == [(None, "Walking", 0.0)]
    assert wearer.states[-1].confidence == pytest.approx(0.6)
    wearer.window(11.0, (0.99, 0.005, 0.005))
    wearer.window(12.0, (0.99, 0.005, 0.005))
    assert wearer.dated[1][:2] == ("Walking", "Sitting")


ROWS = st.lists(st.tuples(*[st.floats(0.01, 1.0)] * 3), min_size=1, max_size=5)


@given(rows=ROWS, lag=st.integers(0, 4))
def test_states_are_those_of_all_paths_weighed(rows: list[tuple[float, ...]], lag: int) -> None:
    """Against the sum over every sequence of labels, without recursion."""
    wearer = Wearer(state_filter(lag_s=float(lag)))
    probabilities = [tuple(p / sum(row) for p in row) for row in rows]
    for start, row in enumerate(probabilities):
        wearer.window(float(start), row)
    wearer.end()
    for at, state in enumerate(wearer.states):
        until = min(at + lag, len(rows) - 1)
        shares = np.zeros(3)
        for path in product(range(3), repeat=until + 1):
            weight = 1.0
            for step, label in enumerate(path):
                weight *= probabilities[step][label] ** (TEMPERING if step else 1.0)
                weight *= TRANSITION[path[step - 1]][label] if step else 1.0
            shares[path[at]] += weight
        assert state.confidence == pytest.approx((shares / shares.sum()).max())


CERTAIN = st.sampled_from([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1 / 3, 1 / 3, 1 / 3)])


@given(steps=st.lists(st.tuples(CERTAIN, st.sampled_from([0.001, 0.5, 1.0, 7.0, -50.0])), max_size=60))
def test_whatever_comes_probabilities_stay_probabilities(steps: list[tuple[tuple[float, ...], float]]) -> None:
    wearer, start = Wearer(state_filter(threshold=0.8, lag_s=3.0)), 0.0
    for probabilities, step_s in steps:
        start += step_s
        memory = wearer.window(start, probabilities).memory
        assert all(sum(step.belief) == pytest.approx(1) and min(step.belief) > 0 for step in memory.steps)
        assert memory.pending <= len(memory.steps)
    if wearer.memory:
        wearer.end()
    for before, change in zip([None, *wearer.changes], wearer.changes, strict=False):
        assert change.before == (before.state.label if before else None)
        assert change.state.label != change.before


def test_a_matrix_that_never_changes_a_label_is_no_trap() -> None:
    never = StateFilter(
        Acceptance(LABELS, {}, 0.0), np.eye(3).tolist(), tempering=1.0, hop_s=1.0, lag_s=60.0
    )  # fmt: skip
    wearer = Wearer(never)
    for label in ("Walking", "Sitting", "Walking"):
        for _ in range(50):
            wearer.window(
                float(len(wearer.states) + (wearer.memory.pending if wearer.memory else 0)), surely(label, 1.0)
            )
    wearer.end()
    assert [change.state.label for change in wearer.changes] == ["Walking", "Sitting", "Walking", UNKNOWN]


def test_the_memory_is_bounded() -> None:
    wearer = Wearer(state_filter(lag_s=60.0, hop_s=0.1))
    for start in range(MAX_PENDING + 100):
        wearer.window(start / 10, surely("Walking"))
    assert wearer.memory
    assert len(wearer.memory.steps) == MAX_PENDING
    assert len(wearer.states) == 100


def votes(n: int, *labels: str) -> Wearer:
    wearer = Wearer(MajoritySmoother(n))
    for start, label in enumerate(labels):
        wearer.window(float(start), surely(label, 0.8))
    return wearer


def test_majority_one_odd_window_changes_nothing() -> None:
    assert votes(3, "Walking", "Walking", "Upstairs").dated == [(None, "Walking", 0.0)]


def test_a_majority_changes_the_state_since_its_first_window() -> None:
    wearer = votes(3, "Walking", "Walking", "Walking", "Upstairs")
    wearer.window(4.0, surely("Upstairs", 0.6))
    wearer.window(5.0, surely("Upstairs", 0.6))
    assert wearer.dated == [(None, "Walking", 0.0), ("Walking", "Upstairs", 3.0)]
    assert wearer.changes[1].state.confidence == pytest.approx(0.7)


def test_majority_a_tie_keeps_the_state() -> None:
    assert votes(2, "Sitting", "Walking").dated == [(None, "Sitting", 0.0)]
    assert votes(2, "Sitting", "Walking", "Walking").dated[1:] == [("Sitting", "Walking", 1.0)]


def test_majority_of_windows_not_accepted_is_unknown() -> None:
    wearer = votes(1, "Walking")
    wearer.window(1.0, surely("Walking", 0.4), accepted=False)
    assert wearer.changes[-1] == StateChange("Walking", State(UNKNOWN, 1.0, 0.4))
    wearer.window(2.0, surely("Walking"))
    wearer.end()
    assert wearer.dated[-1] == ("Walking", UNKNOWN, 6.0)


@pytest.mark.parametrize("smoother", [MajoritySmoother(5), state_filter(), state_filter(lag_s=3.0)])
@pytest.mark.parametrize("changes", [{"worn": False}, {"problems": ("unit",)}])
def test_a_window_that_is_not_usable_makes_the_state_unknown_at_once(
    smoother: Smoother, changes: dict[str, Any]
) -> None:
    wearer = Wearer(smoother)
    for start in range(20):
        wearer.window(float(start), surely("Walking"))
    for start in range(20, 25):
        bad = prediction(float(start), surely("Walking"))
        bad = replace(bad, window=replace(bad.window, **changes))
        wearer.take(smoother.update(wearer.memory, bad, accepted=False))
    assert [(change.before, change.state.label) for change in wearer.changes] == [
        (None, "Walking"),
        ("Walking", "unknown"),
    ]
    assert wearer.changes[-1].state == State("unknown", 20.0, 0.0)
    assert len(wearer.states) == 25
    for start in range(25, 40):
        wearer.window(float(start), surely("Sitting"))
    assert [change.state.label for change in wearer.changes] == ["Walking", "unknown", "Sitting"]


def test_a_first_window_that_is_not_usable_is_unknown() -> None:
    bad = prediction(0.0, surely("Walking"))
    update = state_filter().update(None, replace(bad, window=replace(bad.window, worn=False)), accepted=False)
    assert [(change.before, change.state.label) for change in update.changes] == [(None, "unknown")]
