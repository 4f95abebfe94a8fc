"""What a bundle predicted for windows whose truth is known, with the figures that follow. Knows no model, no console.

A `Trial` is what one fine-tune leaves for a report; it goes to disk as one .npz, for a fold runs as its own process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hard.model.figures import BaselineFigures, Figures, Losses, Metrics, Sample
from hard.recordings.scores import Score, score
from hard.records import Float64Array, Prediction
from training.loop.trained import Epoch
from training.results.confidence import RULE, abstaining, calibration_error, recommended

Texts = NDArray[np.str_]
Baselines = dict[str, list[Texts]]
ARRAYS = ("truth", "subject", "probabilities", "temperature")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Probabilities (N, K) of `labels` for windows of `truth` (N,) and `subject` (N,), at `temperature` (N,).

    `baselines` are the labels (N,) that others gave the same windows, by name, several times where they have seeds.
    """

    labels: tuple[str, ...]
    truth: Texts
    subject: Texts
    probabilities: Float64Array
    temperature: Float64Array
    baselines: Baselines = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def predictions(self) -> Texts:
        """The likeliest label (N,)."""
        return np.asarray(np.array(self.labels)[self.probabilities.argmax(axis=1)])

    @property
    def confidence(self) -> Float64Array:
        """The probability (N,) of the predictions."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.predictions == self.truth)

    @property
    def score(self) -> Score:
        return score(self.truth.tolist(), self.predictions.tolist(), self.labels)

    def of(self, subject: str) -> Outcome:
        """One subject's windows, baselines left out."""
        rows = self.subject == subject
        return Outcome(
            self.labels, self.truth[rows], self.subject[rows], self.probabilities[rows], self.temperature[rows]
        )

    def uncalibrated(self) -> Float64Array:
        """Confidence (N,) as it would be without temperature scaling."""
        raised = np.maximum(self.probabilities, 1e-30) ** self.temperature[:, None]
        return np.asarray(raised.max(axis=1) / raised.sum(axis=1))


class _Part(msgspec.Struct, frozen=True):
    """Of an outcome what isn't an array: its labels, and how many predictions each baseline has."""

    labels: tuple[str, ...]
    baselines: dict[str, int]


class _About(msgspec.Struct, frozen=True):
    """Of a trial what isn't an array."""

    history: tuple[Epoch, ...]
    prompt_tokens: int
    test_loss: float | None
    samples: tuple[Sample, ...]
    parts: dict[str, _Part]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Outcomes by part ("train", "validation", "test"), the epochs of its training, the longest prompt in tokens, the
    confidence (N,) with which each kind of input that is no activity was labelled, the loss on the test windows (None
    where none were tested, or where it isn't finite), and a sample of each label."""

    parts: dict[str, Outcome]
    history: tuple[Epoch, ...]
    prompt_tokens: int
    out_of_distribution: dict[str, Float64Array]
    test_loss: float | None = None
    samples: tuple[Sample, ...] = ()

    @property
    def last(self) -> str:
        """The part that judges: "test" where there is one."""
        return "test" if "test" in self.parts else "validation"

    def save(self, path: Path) -> None:
        """Writes it as one .npz, with all that isn't an array as JSON in its `about`."""
        arrays: dict[str, Any] = {
            f"out_of_distribution/{kind}": found for kind, found in self.out_of_distribution.items()
        }
        parts = {}
        for part, outcome in self.parts.items():
            arrays |= {f"{part}/{name}": getattr(outcome, name) for name in ARRAYS}
            for name, runs in outcome.baselines.items():
                arrays |= {f"{part}/baseline/{name}/{i}": labels for i, labels in enumerate(runs)}
            parts[part] = _Part(outcome.labels, {name: len(runs) for name, runs in outcome.baselines.items()})
        about = _About(self.history, self.prompt_tokens, self.test_loss, self.samples, parts)
        np.savez_compressed(path, about=np.array(msgspec.json.encode(about).decode()), **arrays)

    @classmethod
    def load(cls, path: Path) -> Trial:
        """Reads what `save` wrote. Raises OSError and ValueError."""
        with np.load(path, allow_pickle=False) as arrays:
            about = msgspec.json.decode(str(arrays["about"]), type=_About)
            parts = {
                part: Outcome(
                    labels=known.labels,
                    **{name: arrays[f"{part}/{name}"] for name in ARRAYS},
                    baselines={
                        name: [arrays[f"{part}/baseline/{name}/{i}"] for i in range(count)]
                        for name, count in known.baselines.items()
                    },
                )
                for part, known in about.parts.items()
            }
            kinds = [name for name in arrays.files if name.startswith("out_of_distribution/")]
            found = {name.partition("/")[2]: arrays[name] for name in kinds}
        return cls(parts, about.history, about.prompt_tokens, found, about.test_loss, about.samples)


def outcome_of(
    predictions: Sequence[Prediction],
    truth: Texts,
    labels: Sequence[str],
    temperature: float,
    baselines: Mapping[str, list[Texts]] | None = None,
) -> Outcome:
    """The outcome of `predictions` (N) against `truth` (N,)."""
    return Outcome(
        tuple(labels),
        truth,
        np.array([p.window.device for p in predictions], dtype=np.str_),
        np.stack([p.probabilities for p in predictions]),
        np.full(len(predictions), temperature),
        dict(baselines or {}),
    )


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """All windows of outcomes that share their labels and baselines."""
    first = outcomes[0]
    return Outcome(
        labels=first.labels,
        **{name: np.concatenate([getattr(outcome, name) for outcome in outcomes]) for name in ARRAYS},
        baselines={
            name: [np.concatenate([outcome.baselines[name][i] for outcome in outcomes]) for i in range(len(runs))]
            for name, runs in first.baselines.items()
        },
    )


def figures(outcome: Outcome) -> Figures:
    """Scores by label and by subject, calibration error with and without temperature scaling, and the baselines."""
    result = outcome.score
    by_subject = {subject: outcome.of(subject).score.macro_f1 for subject in dict.fromkeys(outcome.subject.tolist())}
    return Figures(
        windows=result.count,
        accuracy=round(result.accuracy, 4),
        macro_f1=round(result.macro_f1, 4),
        f1={label: round(f1, 4) for label, f1 in zip(result.truths, result.f1, strict=True)},
        macro_f1_by_subject={subject: round(f1, 4) for subject, f1 in by_subject.items()},
        worst_subject=min(by_subject, key=by_subject.__getitem__),
        calibration_error=round(calibration_error(outcome.confidence, outcome.right), 4),
        calibration_error_before=round(calibration_error(outcome.uncalibrated(), outcome.right), 4),
        baselines={name: baseline_figures(outcome, name) for name in outcome.baselines},
    )


def baseline_figures(outcome: Outcome, name: str) -> BaselineFigures:
    """Accuracy, macro-F1 and F1 by label of a baseline, means over its seeds."""
    scores = [score(outcome.truth.tolist(), labels.tolist(), outcome.labels) for labels in outcome.baselines[name]]
    return BaselineFigures(
        accuracy=round(float(np.mean([s.accuracy for s in scores])), 4),
        macro_f1=round(float(np.mean([s.macro_f1 for s in scores])), 4),
        f1={
            label: round(float(np.mean(f1)), 4)
            for label, *f1 in zip(scores[0].truths, *(s.f1 for s in scores), strict=True)
        },
    )


def metrics_of(trial: Trial) -> Metrics:
    """What a manifest carries of one fine-tune; the threshold is chosen on its validation windows."""
    shown, chooser = trial.parts[trial.last], trial.parts["validation"]
    threshold = recommended(chooser.confidence, chooser.right)
    parts = {part: figures(outcome) for part, outcome in trial.parts.items()}
    return Metrics(
        train=parts.get("train"),
        validation=parts["validation"],
        test=parts.get("test"),
        abstaining=abstaining(shown.confidence, shown.right, threshold, RULE, trial.out_of_distribution),
        losses=losses_of(trial),
        samples=trial.samples,
        prompt_tokens=trial.prompt_tokens,
        epoch=best_epoch(trial),
    )


def losses_of(trial: Trial) -> Losses:
    """Losses by epoch and on the test windows, rounded."""
    return Losses(
        training=tuple(_rounded(epoch.training_loss) for epoch in trial.history),
        validation=tuple(_rounded(epoch.validation_loss) for epoch in trial.history),
        test=_rounded(trial.test_loss),
    )


def best_epoch(trial: Trial) -> float | None:
    """The epoch with the best validation macro-F1: the one that was kept."""
    evaluated = [(epoch.macro_f1, epoch.epoch) for epoch in trial.history if epoch.macro_f1 is not None]
    return max(evaluated, key=lambda pair: pair[0])[1] if evaluated else None


def _rounded(loss: float | None) -> float | None:
    return None if loss is None or not math.isfinite(loss) else round(loss, 4)
