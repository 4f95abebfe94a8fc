"""Figures over folds; above is claimed only where the mean difference exceeds its standard error."""

from dataclasses import replace

import numpy as np
import pytest
from support.trials import trial
from training.report import markdown
from training.results.confidence import Certainty
from training.results.cross_validation import compare, summary
from training.results.outcome import STATES, STATES_LATER, UNKNOWN

from hard.model.bundle import even_states


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.02, 0.03, 0.02, 0.03], "above"),
        ([-0.02, -0.03, -0.02], "below"),
        ([0.05, -0.04, 0.03, -0.02], "undecided"),
        ([0.5], "undecided"),
    ],
)
def test_above_is_claimed_only_beyond_the_standard_error(differences: list[float], verdict: str) -> None:
    assert compare(differences).verdict == verdict


def test_the_summary_has_each_fold_their_means_and_all_windows_together() -> None:
    trials = [trial(("1", "2"), 0.95, 1), trial(("3", "4"), 0.9, 2), trial(("5",), 0.97, 3)]
    found = summary(trials, name="tiny", command="finetune", seen_before=("3",), plan={"lr": "0.1"}, length_s=4.0)
    assert [fold.subjects for fold in found.folds] == [("1", "2"), ("3", "4"), ("5",)]
    assert [fold.epoch for fold in found.folds] == [2.0, 2.0, 2.0]
    assert found.pooled.windows == 250
    assert found.against["coin"].verdict == "above"
    assert found.over_folds["macro_f1"].mean == pytest.approx(np.mean([f.macro_f1 for f in found.folds]), abs=1e-4)
    assert found.abstaining.no_activity.keys() == {"all zeros"}
    assert found.states == even_states(2, 0.95, 0.2)  # the choice of least loss in every trial
    assert {STATES, STATES_LATER} <= found.pooled.beside.keys()
    assert (found.prompt_tokens, found.seen_before, found.plan) == (12, ("3",), {"lr": "0.1"})


def test_the_summary_of_activities_left_out_has_how_sure_the_model_is_of_each() -> None:
    trials = [trial(("1", "2"), 0.95, 1), trial(("1", "2"), 0.9, 2)]
    for made, confidence in zip(trials, (0.2, 0.99), strict=True):
        made.unknown[UNKNOWN] = Certainty(np.full(30, confidence), np.full(30, 0.5))
        made.unknown["Lying"] = Certainty(np.full(10, 0.9), np.full(10, 0.01))
    one = replace(trials[0].parts["test"], labels=("Walking", "Jogging"))  # the other fold has no Jogging
    trials[0] = replace(trials[0], parts=trials[0].parts | {"test": one})
    found = summary(
        trials,
        name="t",
        command="x",
        seen_before=(),
        plan={},
        length_s=4.0,
        by="activity",
        left_out=["Sitting", "Jogging"],
    )
    assert [fold.left_out for fold in found.folds] == ["Sitting", "Jogging"]
    assert found.abstaining.no_activity.keys() == {"all zeros"}
    assert (found.unknown["Sitting"].auroc, found.unknown["Sitting"].accepted) == (1.0, 0.0)
    assert found.unknown["Jogging"].auroc < 0.1
    assert found.states is None
    assert (found.unknown["Jogging"].windows, found.unknown["Jogging"].accepted) == (30, 1.0)
    assert set(found.pooled.f1) == {"Walking", "Sitting"}
    lying = found.dropped["Lying"]
    assert (lying.windows, lying.accepted, lying.auroc_familiar) == (20, 0.0, 1.0)
    assert lying.auroc < lying.auroc_both
    assert "| Lying | 20 | " in markdown.dropped(found.dropped)
    for piece in ("| Sitting | 30 | 1.000 | ", "AUROC"):
        assert piece in markdown.unknown(found)
    assert "| left out |" in markdown.folds(found)
