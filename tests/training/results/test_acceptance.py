"""A model is checked before it becomes a bundle: no loss shows that it gives one label for all."""

import math
from typing import Any

import numpy as np
import pytest
from support.trials import known
from training.base_bundle import BEFORE
from training.errors import StoppedError
from training.loop.trained import Epoch
from training.results import acceptance
from training.results.acceptance import requirements
from training.results.trial import Trial, metrics_of

from hard.model.figures import Sample, TrainingMetrics

LABELS = ("Walking", "Jogging", "Sitting")
TRUTH = np.array(LABELS * 20)


def trial(predictions: Any, *written: str, before: Any = None) -> Trial:
    """`predictions` for sixty windows, twenty of each label; `written` freely."""
    probabilities = 0.1 + 0.7 * (np.array(predictions)[:, None] == np.array(LABELS))
    others = {} if before is None else {BEFORE: [np.array(before)]}
    made = known(LABELS, TRUTH, probabilities, **others)
    samples = tuple(Sample(label, label, 0.9, text, "v.std:03") for label, text in zip(LABELS, written, strict=False))
    return Trial({"validation": made}, (), 7, {}, samples=samples)


def rightly(share: float) -> Any:
    """That share of the labels right, the rest the next label."""
    right = np.arange(60) < 60 * share
    return np.where(right, TRUTH, np.roll(TRUTH, -1))


def test_a_modest_model_is_accepted() -> None:
    acceptance.check(trial(rightly(0.4), *LABELS), "validation")
    acceptance.check(trial(rightly(0.4), "Walking", "v.std v.std", ""), "validation")
    acceptance.check(trial(rightly(0.8), *LABELS, before=rightly(0.85)), "validation")
    acceptance.check(trial(TRUTH, *LABELS, before=["Walking"] * 60), "validation")


@pytest.mark.parametrize("predictions", [["Walking"] * 60, rightly(0.3), ["Walking"] * 57 + ["Sitting"] * 3])
def test_one_label_for_all_and_guesses_are_not_accepted(predictions: Any) -> None:
    with pytest.raises(StoppedError, match=r"macro-F1 is 0\.\d+ on the validation windows, no more than by guessing"):
        acceptance.check(trial(predictions, *LABELS), "validation")


def test_a_bundle_that_only_forgot_is_not_accepted() -> None:
    with pytest.raises(StoppedError, match=r"macro-F1 is 0\.6\d+ on the validation windows, 0\.95\d* before"):
        acceptance.check(trial(rightly(0.65), *LABELS, before=rightly(0.95)), "validation")


def test_a_model_that_writes_no_label_is_not_accepted() -> None:
    with pytest.raises(StoppedError, match=r"none of 3 samples .* \(the first is 'v.std:15 v.std:15'\)"):
        acceptance.check(trial(TRUTH, "v.std:15 v.std:15", "", "x"), "validation")


def test_recordings_of_one_activity_can_be_learnt() -> None:
    one = trial(TRUTH, *LABELS).parts["validation"]
    walking = known(LABELS, ["Walking"] * 60, one.probabilities)
    acceptance.check(Trial({"validation": walking}, (), 7, {}), "validation")


def shown(losses: list[tuple[float, float]], test_loss: float | None, *written: str) -> TrainingMetrics:
    """What a run with these training and validation losses, tested on one window, has to show."""
    made = known(("Jogging",), ["Jogging"], np.ones((1, 1)))
    history = tuple(Epoch(float(i), *pair, 0.5) for i, pair in enumerate(losses, 1))
    samples = tuple(Sample("Jogging", "Jogging", 0.9, text, "classify activity: x-axis mean 4.01") for text in written)
    return metrics_of(Trial({"validation": made, "test": made}, history, 12, {}, test_loss, samples))


def verdicts(metrics: TrainingMetrics) -> list[str]:
    return [requirement.met for requirement in requirements(metrics)]


def test_a_sound_run_meets_all_requirements() -> None:
    assert verdicts(shown([(1.2, 0.9), (0.6, 0.7)], 0.8, "Jogging", "Jogging")) == ["yes", "yes", "yes", "", "yes"]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (shown([(0.0, math.nan), (0.0, math.nan)], math.nan, "x-axis mean 4.01"), ["NO", "NO", "NO", "", "NO"]),
        (shown([(1.0, 1.0), (1.0, 1.1)], 0.8, "Jogging", "x-axis"), ["NO", "NO", "yes", "", "NO"]),
    ],
    ids=["the original", "nothing learnt"],
)
def test_a_run_that_failed_misses_them(metrics: TrainingMetrics, expected: list[str]) -> None:
    assert verdicts(metrics) == expected


def test_a_bundle_without_losses_has_nothing_to_show() -> None:
    assert requirements(TrainingMetrics()) == []
