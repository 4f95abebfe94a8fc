"""The trials of all folds → their figures, the mean over folds, and the comparison with each baseline. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import structs

from hard.model.bundle import StatesSpec
from hard.model.figures import Abstaining, Comparison, CrossValidation, FoldFigures, FoldsBy, Mean
from training.results import states
from training.results.confidence import RULE, Certainty, abstaining, joined, recommended, unknown
from training.results.outcome import UNKNOWN, figures, pooled
from training.results.trial import Trial, best_epoch


class FoldsReport(CrossValidation, frozen=True, kw_only=True):
    """`report.json` of a cross-validation: beside its figures the threshold chosen over all folds, the `plan`, by which
    a model's recipe is recognised as the same, and the states fitted to the test subjects of all folds, None where
    something else is left out."""

    abstaining: Abstaining
    plan: dict[str, str]
    states: StatesSpec | None = None


def summary(
    trials: Sequence[Trial],
    *,
    name: str,
    command: str,
    seen_before: Sequence[str],
    plan: dict[str, str],
    length_s: float,
    by: FoldsBy = "subject",
    left_out: Sequence[str] = (),
) -> FoldsReport:
    """The report of `trials`, one a fold; the threshold is chosen on all validation windows together. `left_out` names
    what each fold leaves out, where that isn't subjects; `length_s` is that of the windows."""
    tests, validations = ([trial.parts[part] for trial in trials] for part in ("test", "validation"))
    names = left_out or [""] * len(trials)
    folds = tuple(_fold(trial, name) for trial, name in zip(trials, names, strict=True))
    chooser, all_tests = pooled(validations), pooled(tests)
    threshold = recommended(chooser.certainty.counted, chooser.right)
    kinds = {
        kind: joined([trial.out_of_distribution[kind] for trial in trials]) for kind in trials[0].out_of_distribution
    }
    losses = np.concatenate([trial.state_losses for trial in trials], axis=1)
    baselines = list(folds[0].baselines)
    return FoldsReport(
        name=name,
        command=command,
        seen_before=tuple(seen_before),
        folds=folds,
        over_folds={
            key: _mean([getattr(fold, key) for fold in folds])
            for key in ("accuracy", "macro_f1", "calibration_error", "calibration_error_before")
        },
        baselines_over_folds={name: _mean([fold.baselines[name].macro_f1 for fold in folds]) for name in baselines},
        pooled=figures(
            all_tests, {name: pooled([trial.beside[name] for trial in trials]) for name in trials[0].beside}
        ),
        prompt_tokens=max(trial.prompt_tokens for trial in trials),
        against={
            name: compare([fold.macro_f1 - fold.baselines[name].macro_f1 for fold in folds]) for name in baselines
        },
        abstaining=abstaining(all_tests.certainty.counted, all_tests.right, threshold, RULE, kinds),
        plan=plan,
        states=states.choose(losses, tests[0].labels, length_s).states if losses.size and by == "subject" else None,
        by=by,
        unknown={
            name: unknown(trial.parts["test"].certainty, trial.unknown[UNKNOWN], threshold)
            for name, trial in zip(names, trials, strict=True)
            if UNKNOWN in trial.unknown
        },
        dropped={name: unknown(all_tests.certainty, found, threshold) for name, found in _dropped(trials).items()},
    )


def compare(differences: Sequence[float]) -> Comparison:
    """From fold-wise differences in macro-F1, model less baseline: above or below only beyond the standard error."""
    found = _mean(differences)
    apart = abs(found.mean) > found.standard_error
    return Comparison(
        found.mean, found.standard_error, ("above" if found.mean > 0 else "below") if apart else "undecided"
    )


def _fold(trial: Trial, left_out: str) -> FoldFigures:
    found = figures(trial.parts["test"], trial.beside)
    subjects = tuple(found.macro_f1_by_subject)
    return FoldFigures(**structs.asdict(found), subjects=subjects, epoch=best_epoch(trial), left_out=left_out)


def _dropped(trials: Sequence[Trial]) -> dict[str, Certainty]:
    """The windows of each dropped label, of the test people of all folds."""
    names = dict.fromkeys(name for trial in trials for name in trial.unknown if name != UNKNOWN)
    return {name: joined([trial.unknown[name] for trial in trials if name in trial.unknown]) for name in names}


def _mean(values: Sequence[float]) -> Mean:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("inf")
    return Mean(round(float(np.mean(values)), 4), round(float(spread / np.sqrt(len(values))), 4))
