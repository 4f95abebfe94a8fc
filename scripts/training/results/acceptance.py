"""Whether what a fine-tune made is worth a bundle: the last alarm, for what no loss tells. Pure."""

from __future__ import annotations

from training.errors import StoppedError
from training.model.extend import BEFORE
from training.results.outcome import Trial, baseline_figures

WORSE = 0.1  # of macro-F1, clearly: windows overlap, and some hundred of them tell no less apart


def check(trial: Trial, part: str) -> None:
    """Raises StoppedError where the labels of `part`'s windows are no better than guessed, clearly worse than those of
    the bundle it began with, or where nothing that the model writes freely is a label."""
    outcome = trial.parts[part]
    reached = outcome.score
    guessed = 1 / len(reached.truths)
    if len(reached.truths) > 1 and reached.macro_f1 <= guessed:
        raise StoppedError(
            f"macro-F1 is {reached.macro_f1:.3f} on the {part} windows, no more than by guessing or by one label for "
            f"all ({guessed:.3f}): nothing was learnt, so no bundle is written; train longer, choose another --lr, and "
            "check that the labels belong to the recordings"
        )
    if BEFORE in outcome.baselines:
        before = baseline_figures(outcome, BEFORE)["macro_f1"]
        if reached.macro_f1 < before - WORSE:
            raise StoppedError(
                f"macro-F1 is {reached.macro_f1:.3f} on the {part} windows, {before:.3f} before: the bundle that it "
                "began with is better, so no other is written; lower --lr, or give more recordings"
            )
    if trial.samples and not any(sample.generated in outcome.labels for sample in trial.samples):
        raise StoppedError(
            f"none of {len(trial.samples)} samples that the model writes freely is a label (the first is "
            f"{trial.samples[0].generated[:40]!r}): it has not learnt to answer, so no bundle is written; train longer "
            "(--epochs, --time-limit), or choose another --lr"
        )
