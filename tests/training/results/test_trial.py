"""A trial comes back from disk, and a manifest has its figures."""

from pathlib import Path

import numpy as np
import pytest
from support.trials import LABELS, trial
from training.loop.trained import Epoch
from training.results.confidence import Certainty
from training.results.outcome import (
    figures,
)
from training.results.trial import Trial, best_epoch, losses_of, metrics_of


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
