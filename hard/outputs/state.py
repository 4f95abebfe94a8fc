"""A device's predictions → its state: what its wearer does, and since when. Pure: no clock, no MQTT, no model.

A smoother keeps nothing of a device: it takes the memory that it gave for the window before, or None for the first one.
Filter: Rabiner 1989, "A Tutorial on Hidden Markov Models", with the labels' probabilities as evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import mul
from typing import Literal, Protocol

import numpy as np

from hard.outputs.acceptance import Acceptance, is_usable
from hard.records import FilterStep, Prediction, State, StateMemory, Window

UNKNOWN = "unknown"
Smoothing = Literal["filter", "majority"]
SAME_START_S = 1e-6
LEAST_PROBABILITY = 1e-6  # no window makes a label impossible
LEAST_FADED = 0.5
LEAST_TRANSITION = 1e-9  # and no label can never follow
MAX_PENDING = 256  # windows of a device that wait for the lag: with a shorter hop the lag becomes shorter
MAX_POWERS = 64  # steps between windows for which the transition matrix is kept

Columns = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state other than the one `before` it, which is None for the first one."""

    before: str | None
    state: State


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """The memory after a window, the states of windows that became known (one a window, oldest first, `since` is its
    start), and the changes among them."""

    memory: StateMemory
    states: tuple[State, ...]
    changes: tuple[StateChange, ...]


class Smoother(Protocol):
    """What makes a state of a device's windows."""

    def update(self, memory: StateMemory | None, prediction: Prediction, *, accepted: bool) -> StateUpdate:
        """The device's next window, and whether its label is accepted."""
        ...

    def end(self, memory: StateMemory) -> StateUpdate:
        """The device is silent: what was pending is known now, and the state is UNKNOWN from the end of the last
        window on."""
        ...


class MajoritySmoother:
    """Majority of the last `n` windows; a tie keeps the state that holds, else takes the newest label. A state's
    confidence is the mean over the windows that agree."""

    def __init__(self, n: int) -> None:
        self._n = n

    def update(self, memory: StateMemory | None, prediction: Prediction, *, accepted: bool) -> StateUpdate:
        window = prediction.window
        if not is_usable(window):
            return _unknown(memory, window, ())
        vote = (prediction.label if accepted else UNKNOWN, prediction.confidence, window.start)
        votes = (*(memory.votes if memory else ()), vote)[-self._n :]
        held = memory.state if memory else None
        state = _majority(votes, held)
        known = State(state.label, window.start, state.confidence)
        changes = () if held and held.label == state.label else (StateChange(held.label if held else None, state),)
        return StateUpdate(StateMemory(state, window.start, window.end, votes=votes), (known,), changes)

    def end(self, memory: StateMemory) -> StateUpdate:
        return _ended(memory, ())


class StateFilter:
    """A forward filter over the probabilities of the labels (K,). The state is the most probable label where it reaches
    the threshold of `acceptance`, else its most probable parent whose labels together reach it, else UNKNOWN.

    `transition` (K, K) has the probability of each label (column) a second after each (row). A window's probabilities
    are raised to `tempering` for each second that it adds to the one before, at most to 1: windows overlap, so they
    don't speak for themselves alone. Windows that share no sample, though in one run they would or would follow after
    `hop_s`, are of two runs: the second begins from equal probabilities. With `lag_s` the state is that of lag_s ago,
    given all windows since.
    """

    def __init__(
        self, acceptance: Acceptance, transition: Sequence[Sequence[float]], *, tempering: float, hop_s: float,
        lag_s: float,
    ) -> None:  # fmt: skip
        self._labels, self._acceptance, self._tempering = acceptance.labels, acceptance, tempering
        self._hop_s, self._lag_s = hop_s, lag_s
        possible = np.asarray(transition, dtype=np.float64) + LEAST_TRANSITION
        self._transition = possible / possible.sum(axis=1, keepdims=True)
        self._powers: dict[float, tuple[Columns, Columns]] = {}

    def update(self, memory: StateMemory | None, prediction: Prediction, *, accepted: bool) -> StateUpdate:
        """With a window that isn't usable the state is UNKNOWN at once, and the next one begins from equal
        probabilities. A window of too little confidence counts like any other: two labels of half the probability each
        say that it is none of the others. One that is not familiar enough, or not accepted in spite of its confidence,
        says nothing, and what is known fades: then a state needs LEAST_FADED at least."""
        window = prediction.window
        if memory and memory.steps and abs(window.start - memory.start) < SAME_START_S:
            return StateUpdate(memory, (), ())  # the same window again
        steps = memory.steps if memory and memory.labels == self._labels else ()
        pending = memory.pending if memory and steps else 0
        states: list[State] = []
        if memory and steps and self._begins_run(memory, window.start):
            states += self._states(steps, pending, pending)
            steps, pending = (), 0
        if not is_usable(window):
            return _unknown(memory, window, (*states, *self._states(steps, pending, pending)))
        length_s, last = window.end - window.start, steps[-1] if steps else None
        exponent = min(1.0, self._tempering * (min(length_s, window.start - last.start) if last else length_s))
        confident = prediction.confidence >= self._acceptance.min_confidence
        if not accepted and (confident or not self._acceptance.is_familiar(prediction)):
            exponent = 0.0
        evidence = tuple([max(p, LEAST_PROBABILITY) ** exponent for p in prediction.probabilities.tolist()])
        belief = _normalised(map(mul, self._predict(last, window.start), evidence) if last else evidence)
        steps, pending = (*steps, FilterStep(window.start, belief, evidence)), pending + 1
        due = self._due(steps, pending)
        states += self._states(steps, pending, due)
        pending -= due
        held, changes = _changes(memory.state if memory else None, states)
        memory = StateMemory(held, window.start, window.end, self._labels, steps[-max(pending, 1) :], pending)
        return StateUpdate(memory, tuple(states), changes)

    def end(self, memory: StateMemory) -> StateUpdate:
        known = memory.labels == self._labels
        return _ended(memory, self._states(memory.steps, memory.pending, memory.pending) if known else ())

    def _begins_run(self, memory: StateMemory, start: float) -> bool:
        """Whether a window from `start` on is of another run: the device's clock was set back, or there is a gap."""
        apart = start >= memory.end - SAME_START_S and start - memory.start > 1.5 * self._hop_s
        return start < memory.start or apart

    def _due(self, steps: Sequence[FilterStep], pending: int) -> int:
        """How many of the last `pending` steps are to have a state now."""
        until = steps[-1].start - self._lag_s + SAME_START_S
        return max(pending - MAX_PENDING, sum([step.start <= until for step in steps[len(steps) - pending :]]))

    def _states(self, steps: Sequence[FilterStep], pending: int, due: int) -> list[State]:
        """The states of the first `due` of the last `pending` steps, given all steps."""
        if not due:
            return []
        first = len(steps) - pending
        later, states = (1.0,) * len(self._labels), []
        for at in range(len(steps) - 1, first - 1, -1):
            if at < first + due:
                states.append(self._state(steps[at], _normalised(map(mul, steps[at].belief, later))))
            if at > first:
                _, rows = self._power(steps[at].start - steps[at - 1].start)
                weighed = tuple(map(mul, steps[at].evidence, later))
                later = _normalised([sum(map(mul, row, weighed)) for row in rows])
        return states[::-1]

    def _state(self, step: FilterStep, belief: tuple[float, ...]) -> State:
        faded = min(step.evidence) == 1.0
        threshold, confidence = max(self._acceptance.min_confidence, LEAST_FADED * faded), max(belief)
        if confidence >= threshold:
            return State(self._labels[belief.index(confidence)], step.start, confidence)
        parent, total = self._acceptance.best_parent(belief)
        return State(parent, step.start, total) if total >= threshold else State(UNKNOWN, step.start, confidence)

    def _predict(self, last: FilterStep, start: float) -> Iterable[float]:
        """The probabilities at `start`, before its window is seen."""
        columns, _ = self._power(start - last.start)
        return [sum(map(mul, last.belief, column)) for column in columns]

    def _power(self, step_s: float) -> tuple[Columns, Columns]:
        """Columns and rows of the transition matrix for a step of `step_s`: raised to whole seconds, and between two of
        them linear, so that its rows sum to 1 whatever the matrix."""
        step_s = round(step_s, 3)
        found = self._powers.get(step_s)
        if found is None:
            if len(self._powers) >= MAX_POWERS:
                self._powers.clear()
            part = step_s % 1
            mixed = (1 - part) * np.eye(len(self._labels)) + part * self._transition
            matrix = np.linalg.matrix_power(self._transition, int(step_s)) @ mixed
            found = self._powers[step_s] = tuple(map(tuple, matrix.T.tolist())), tuple(map(tuple, matrix.tolist()))
        return found


def _normalised(weights: Iterable[float]) -> tuple[float, ...]:
    weights = list(weights)
    total = sum(weights)
    return tuple([weight / total for weight in weights])


def _majority(votes: Sequence[tuple[str, float, float]], held: State | None) -> State:
    """The state after the last of `votes`; `held` itself where it still holds."""
    counts = Counter(label for label, _, _ in votes)
    most = max(counts.values())
    if held and counts[held.label] == most:
        return held
    winner = next(label for label, _, _ in reversed(votes) if counts[label] == most)
    agreeing = [(confidence, start) for label, confidence, start in votes if label == winner]
    return State(winner, agreeing[0][1], sum(confidence for confidence, _ in agreeing) / len(agreeing))


def _changes(held: State | None, states: Iterable[State]) -> tuple[State | None, tuple[StateChange, ...]]:
    """The state after `states`, and each change among them."""
    changes = []
    for state in states:
        if held is None or state.label != held.label:
            changes.append(StateChange(held.label if held else None, state))
            held = state
    return held, tuple(changes)


def _unknown(memory: StateMemory | None, window: Window, states: Iterable[State]) -> StateUpdate:
    """The state is UNKNOWN from the start of `window` on; before it, `states` became known."""
    states = (*states, State(UNKNOWN, window.start, 0.0))
    held, changes = _changes(memory.state if memory else None, states)
    return StateUpdate(StateMemory(held, window.start, window.end), states, changes)


def _ended(memory: StateMemory, states: Iterable[State]) -> StateUpdate:
    states = tuple(states)
    held, changes = _changes(memory.state, (*states, State(UNKNOWN, memory.end, 0.0)))
    return StateUpdate(replace(memory, state=held, steps=(), pending=0, votes=()), states, changes)
