"""Whether a model may become a bundle: the last check, for what no loss shows; the table that ends a fine-tune. Pure.

The table has what the notebook that HARD began with promised and missed: its losses were 0 and nan, its samples echoed
prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hard.model.figures import TrainingMetrics
from training.base_bundle import BEFORE
from training.errors import StoppedError
from training.results.outcome import baseline_figures
from training.results.trial import Trial

WORSE = 0.1  # of macro-F1, clearly: windows overlap, and some hundred of them distinguish no less


class Requirement(NamedTuple):
    """What a fine-tune must show, what it did show, and whether that is enough: "yes", "NO", or why that is open."""

    name: str
    shown: str
    met: str


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
        before = baseline_figures(outcome, BEFORE).macro_f1
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


def requirements(metrics: TrainingMetrics) -> list[Requirement]:
    """What must be shown, and what is; empty where a bundle has no losses, for it was not trained here."""
    losses, samples = metrics.losses, metrics.samples
    if losses is None:
        return []
    labels = {sample.label for sample in samples} | {sample.truth for sample in samples}
    are_labels = sum(sample.generated in labels for sample in samples)
    right = sum(sample.generated == sample.truth for sample in samples)
    judged = next(iter(metrics.parts.values()))
    positive = all(loss is not None and loss > 0 for loss in losses.training)
    tested = "no subject tests" if metrics.test is None else _met(losses.test is not None)
    return [
        Requirement(
            "training loss falls, stays above zero",
            _by_epoch(losses.training),
            _met(_falls(losses.training) and positive),
        ),
        Requirement("validation loss finite, falls", _by_epoch(losses.validation), _met(_falls(losses.validation))),
        Requirement("test loss finite", _number(losses.test), tested),
        Requirement("accuracy", f"{judged.accuracy:.3f}", ""),
        Requirement(
            "samples written freely are labels",
            f"{are_labels} of {len(samples)}, {right} right",
            _met(are_labels == len(samples)),
        ),
    ]


def _falls(losses: Sequence[float | None]) -> bool:
    """Whether each is finite and some later one is below the first; one epoch alone falls nowhere."""
    known = [loss for loss in losses if loss is not None]
    return len(known) == len(losses) > 1 and min(known[1:]) < known[0]


def _by_epoch(losses: Sequence[float | None]) -> str:
    return " → ".join(map(_number, losses))


def _number(loss: float | None) -> str:
    return "none" if loss is None else f"{loss:.3f}"


def _met(holds: bool) -> str:
    return "yes" if holds else "NO"
