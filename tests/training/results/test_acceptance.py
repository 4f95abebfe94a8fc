"""What a fine-tune made is weighed before it becomes a bundle: no loss tells a model that gives one label for all."""

from typing import Any

import numpy as np
import pytest
from training.errors import StoppedError
from training.model.extend import BEFORE
from training.results import acceptance
from training.results.outcome import Outcome, Sample, Trial

LABELS = ("Walking", "Jogging", "Sitting")
TRUTH = np.array(LABELS * 20)


def trial(said: Any, *written: str, before: Any = None) -> Trial:
    """`said` to sixty windows, twenty of each label; `written` freely."""
    probabilities = 0.1 + 0.7 * (np.array(said)[:, None] == np.array(LABELS))
    others = {} if before is None else {BEFORE: [np.array(before)]}
    made = Outcome(LABELS, TRUTH, np.repeat("1", 60), probabilities, np.ones(60), others)
    samples = [Sample(label, label, 0.9, text, "v.std:03") for label, text in zip(LABELS, written, strict=False)]
    return Trial({"validation": made}, [], 7, {}, samples=samples)


def rightly(share: float) -> Any:
    """That share of the labels right, the rest the next label."""
    right = np.arange(60) < 60 * share
    return np.where(right, TRUTH, np.roll(TRUTH, -1))


def test_a_modest_model_is_worth_a_bundle() -> None:
    acceptance.check(trial(rightly(0.4), *LABELS), "validation")
    acceptance.check(trial(rightly(0.4), "Walking", "v.std v.std", ""), "validation")
    acceptance.check(trial(rightly(0.8), *LABELS, before=rightly(0.85)), "validation")
    acceptance.check(trial(TRUTH, *LABELS, before=["Walking"] * 60), "validation")


@pytest.mark.parametrize("said", [["Walking"] * 60, rightly(0.3), ["Walking"] * 57 + ["Sitting"] * 3])
def test_one_label_for_all_and_guesses_are_not(said: Any) -> None:
    with pytest.raises(StoppedError, match=r"macro-F1 is 0\.\d+ on the validation windows, no more than by guessing"):
        acceptance.check(trial(said, *LABELS), "validation")


def test_a_bundle_that_only_forgot_is_not() -> None:
    with pytest.raises(StoppedError, match=r"macro-F1 is 0\.6\d+ on the validation windows, 0\.95\d* before"):
        acceptance.check(trial(rightly(0.65), *LABELS, before=rightly(0.95)), "validation")


def test_a_model_that_writes_no_label_is_not() -> None:
    with pytest.raises(StoppedError, match=r"none of 3 samples .* \(the first is 'v.std:15 v.std:15'\)"):
        acceptance.check(trial(TRUTH, "v.std:15 v.std:15", "", "x"), "validation")


def test_recordings_of_one_activity_can_be_learnt() -> None:
    one = trial(TRUTH, *LABELS).parts["validation"]
    walking = Outcome(LABELS, np.repeat("Walking", 60), one.subject, one.probabilities, one.temperature)
    acceptance.check(Trial({"validation": walking}, [], 7, {}), "validation")
