"""Predictions for recordings, window by window → how a bundle's state filter goes on and weighs them, and the states
that it then gives. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log

import numpy as np

from hard.commands.states import follow
from hard.model.bundle import StatesSpec, even_states
from hard.outputs.acceptance import Acceptance
from hard.outputs.state import StateFilter
from hard.recordings.recordings import LabelledWindow
from hard.records import Float64Array, Prediction, State, StateMemory
from hard.settings import IngestSection
from training.results.outcome import Outcome

STAYS = (0.8, 0.9, 0.95, 0.98, 0.99)  # probabilities to be the same a second later
# Tempering times the window's length: at 1 each sample counts once, never more often.
SHARES = (0.25, 0.4, 0.6, 0.8, 1.0)
GRID = [(stay, share) for stay in STAYS for share in SHARES]

Labelled = tuple[LabelledWindow, Prediction]


@dataclass(frozen=True, slots=True)
class StatesFit:
    """The `states` chosen, with `stay` and its mean loss over the subjects. `unsure` is on how many subjects' absence
    another choice would have been made."""

    states: StatesSpec
    stay: float
    loss: float
    subjects: int
    unsure: int


def losses(labelled: Sequence[Labelled], labels: Sequence[str], hop_s: float) -> Float64Array:
    """For each of GRID and each subject (G, S) the mean cross entropy of the truths of windows of one label, at no
    lag. Other labels are equally likely to follow: a script of activities, as recordings have it, is nobody's habit."""
    subjects = list(dict.fromkeys(one.subject for one, _ in labelled if one.truth in labels))
    length_s = labelled[0][0].window.end - labelled[0][0].window.start
    choices = (_states(len(labels), length_s, i) for i in range(len(GRID)))
    return np.array([_losses(labelled, subjects, _filter(states, labels, hop_s)) for states in choices])


def choose(losses: Float64Array, labels: Sequence[str], length_s: float) -> StatesFit:
    """The stay and tempering whose `losses` (G, S) have the least mean over the subjects."""
    best = int(losses.mean(axis=1).argmin())
    count = losses.shape[1]
    others = range(count if count > 1 else 0)
    unsure = sum(int(np.delete(losses, i, axis=1).mean(axis=1).argmin()) != best for i in others)
    return StatesFit(_states(len(labels), length_s, best), GRID[best][0], float(losses[best].mean()), count, unsure)


def outcome_of_states(
    labelled: Sequence[Labelled], labels: Sequence[str], states: StatesSpec, hop_s: float, lag_s: float
) -> Outcome:
    """The states that the daemon would give the windows whose truth is known, whichever their confidence. Beside a
    state's own, the other labels have equal probabilities."""
    acceptance, smoother = Acceptance(tuple(labels), {}, 0.0), _filter(states, labels, hop_s, lag_s)
    silent_after_s = IngestSection().silent_after_s
    steps = follow(labelled, smoother, acceptance=acceptance, silent_after_s=silent_after_s)
    known = [(one, state) for step in steps for one, state in step.windows if one.truth is not None]
    truth, subject, place, dataset = (
        np.array([getattr(one, name) or "" for one, _ in known], dtype=np.str_)
        for name in ("truth", "subject", "place", "dataset")
    )
    calibrated = np.array([one.window.calibrated for one, _ in known], dtype=bool)
    probabilities = np.array([_probabilities(state, labels) for _, state in known])
    return Outcome(tuple(labels), truth, subject, place, dataset, calibrated, probabilities, *np.ones((2, len(known))))


def _probabilities(state: State, labels: Sequence[str]) -> list[float]:
    rest = (1 - state.confidence) / (len(labels) - 1)
    return [state.confidence if label == state.label else rest for label in labels]


def _states(count: int, length_s: float, choice: int) -> StatesSpec:
    """GRID's `choice` for `count` labels and windows of `length_s`."""
    stay, share = GRID[choice]
    return even_states(count, stay, round(share / length_s, 4))


def _filter(states: StatesSpec, labels: Sequence[str], hop_s: float, lag_s: float = 0.0) -> StateFilter:
    acceptance = Acceptance(tuple(labels), {}, 0.0)
    return StateFilter(acceptance, states.transition, tempering=states.tempering, hop_s=hop_s, lag_s=lag_s)


def _losses(labelled: Iterable[Labelled], subjects: Sequence[str], smoother: StateFilter) -> Float64Array:
    """The mean cross entropy of each subject's truths (S,)."""
    found: dict[str, list[float]] = {subject: [] for subject in subjects}
    for _, own in groupby(labelled, key=lambda pair: pair[0].window.device):
        memory: StateMemory | None = None
        for one, prediction in own:
            memory = smoother.update(memory, prediction, accepted=True).memory
            if one.truth in memory.labels:
                found[one.subject].append(-log(memory.steps[-1].belief[memory.labels.index(one.truth)]))
    return np.array([np.mean(own) for own in found.values()])
