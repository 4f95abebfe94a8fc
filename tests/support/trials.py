"""Outcomes and trials of no model: made-up predictions whose share of right ones is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from training.loop.trained import Epoch
from training.results.confidence import Certainty
from training.results.outcome import BACKWARDS, STATES, STATES_LATER, TWO_PASS, Outcome
from training.results.states import GRID
from training.results.trial import Trial

from hard.model.figures import Sample

LABELS = ("Walking", "Sitting")


def outcome(subjects: tuple[str, ...], share_right: float, seed: int = 0) -> Outcome:
    """Fifty windows a subject; the baseline "coin" is right by half."""
    rng = np.random.default_rng(seed)
    n = 50 * len(subjects)
    truth = rng.integers(0, 2, n)
    predicted = np.where(rng.random(n) < share_right, truth, 1 - truth)
    sure = rng.uniform(0.6, 1.0, n)
    probabilities = np.where(np.arange(2) == predicted[:, None], sure[:, None], 1 - sure[:, None])
    coin = [np.array(LABELS)[rng.integers(0, 2, n)] for _ in range(2)]
    return known(LABELS, np.array(LABELS)[truth], probabilities, np.repeat(subjects, 50), temperature=1.5, coin=coin)


def known(
    labels: tuple[str, ...], truth: Any, probabilities: Any, subject: Any = "1", *, place: Any = "",
    temperature: float = 1.0, **baselines: Any,
) -> Outcome:  # fmt: skip
    """`probabilities` (N, K) for windows of `truth` (N,); what is one for all windows is given once."""
    n = len(truth)
    subject, place, dataset = (np.broadcast_to(np.array(column, dtype=np.str_), n) for column in (subject, place, ""))
    truth = np.array(truth, dtype=np.str_)
    calibrated = np.arange(n) % 5 > 0
    return Outcome(
        labels, truth, subject, place, dataset, calibrated, probabilities, np.full(n, temperature),
        np.linspace(0.05, 1, n), baselines,
    )  # fmt: skip


def trial(
    subjects: tuple[str, ...],
    share_right: float,
    seed: int = 0,
    *,
    test_loss: float | None = None,
    written: tuple[str, ...] = (),
) -> Trial:
    """Tested on `subjects`, validated on "v"; the second of three epochs was the best."""
    parts = {"validation": outcome(("v",), share_right, seed + 10), "test": outcome(subjects, share_right, seed)}
    history = (Epoch(1.0, 0.9, 0.8, 0.5), Epoch(2.0, 0.5, 0.6, 0.8), Epoch(3.0, 0.4, 0.7, 0.7))
    samples = tuple(Sample(text, text, 0.9, text, "v.std:03") for text in written)
    names = TWO_PASS, BACKWARDS, STATES, STATES_LATER
    beside = {name: outcome(subjects, share_right, seed + 20 + i) for i, name in enumerate(names)}
    losses = np.repeat([[0.1 if choice == (0.95, 0.8) else 0.2] for choice in GRID], len(subjects), axis=1)
    zeros = {"all zeros": Certainty(np.linspace(0, 1, 5), np.ones(5))}
    return Trial(parts, history, 12, zeros, test_loss, samples, beside, losses)
