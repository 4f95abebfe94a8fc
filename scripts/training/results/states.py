"""Predictions for recordings, window by window → how a bundle's state filter goes on and weighs them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log
from operator import itemgetter

import numpy as np

from hard.model.bundle import StatesSpec, even_states
from hard.outputs.acceptance import Acceptance
from hard.outputs.state import StateFilter
from hard.recordings.recordings import LabelledWindow
from hard.records import Float64Array, Prediction, StateMemory

STAYS = (0.8, 0.9, 0.95, 0.98, 0.99)  # probabilities to be the same a second later
SHARES = (
    0.25,
    0.4,
    0.6,
    0.8,
    1.0,
)  # tempering times the window's length: at 1 each sample counts once, never more often

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


def fit(labelled: Sequence[Labelled], labels: Sequence[str], hop_s: float) -> StatesFit:
    """The stay and tempering under which the truths of windows of one truth are likeliest at no lag: by the mean over
    the subjects of their cross entropy. Other labels are equally likely to follow: a script of activities, as
    recordings have it, is nobody's habit."""
    length_s = labelled[0][0].window.end - labelled[0][0].window.start
    subjects = list(dict.fromkeys(one.subject for one, _ in labelled))
    grid = [(stay, round(share / length_s, 4)) for stay in STAYS for share in SHARES]
    losses = np.array(
        [_losses(labelled, subjects, labels, even_states(len(labels), *choice), hop_s) for choice in grid]
    )
    best = int(losses.mean(axis=1).argmin())
    others = range(len(subjects) if len(subjects) > 1 else 0)
    unsure = sum(int(np.delete(losses, i, axis=1).mean(axis=1).argmin()) != best for i in others)
    states = even_states(len(labels), *grid[best])
    return StatesFit(states, grid[best][0], float(losses[best].mean()), len(subjects), unsure)


def _losses(
    labelled: Iterable[Labelled], subjects: Sequence[str], labels: Sequence[str], states: StatesSpec, hop_s: float
) -> Float64Array:
    """The mean cross entropy of each subject's truths (S,)."""
    acceptance = Acceptance(tuple(labels), {}, 0.0)
    smoother = StateFilter(acceptance, states.transition, tempering=states.tempering, hop_s=hop_s, lag_s=0.0)
    found: dict[str, list[float]] = {subject: [] for subject in subjects}
    for _, own in groupby(labelled, key=lambda pair: pair[0].window.device):
        memory: StateMemory | None = None
        for one, prediction in own:
            memory = smoother.update(memory, prediction, accepted=True).memory
            if one.truth in labels:
                found[one.subject].append(-log(memory.steps[-1].belief[labels.index(one.truth)]))
    return np.array([np.mean(losses) if losses else 0.0 for losses in found.values()])


def scored(pairs: Iterable[tuple[LabelledWindow, str]]) -> tuple[list[str], list[str]]:
    """Truths and what was given, of windows of one truth."""
    known = [(one.truth, given) for one, given in pairs if one.truth is not None]
    return [truth for truth, _ in known], list(map(itemgetter(1), known))
