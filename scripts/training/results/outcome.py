"""What a bundle predicted for windows whose truth is known, with the figures that follow. Knows no model, no console.

A `Trial` is what one fine-tune leaves for a report; it goes to disk as one .npz, for a fold runs as its own process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from hard.model.figures import BaselineFigures, Figures, Losses, Sample, ShortFigures, TrainingMetrics
from hard.recordings.scores import EITHER, Score, alternatives, score
from hard.records import Float64Array, Prediction
from training.data.loading import LabelledWindows, ordered
from training.loop.trained import Epoch
from training.results.confidence import (
    RULE,
    Certainty,
    abstaining,
    calibration_error,
    certainty_of,
    recommended,
    unknown,
)

NOT_STATED = "not stated"  # in figures by place
Texts = NDArray[np.str_]
Baselines = dict[str, list[Texts]]
ARRAYS = ("truth", "subject", "place", "dataset", "calibrated", "probabilities", "temperature", "familiar")
OTHERS = ("out_of_distribution", "unknown")  # certainties of a trial
BEFORE_CALIBRATED, CALIBRATED = "before the mounting was learnt", "once the mounting was learnt"
UNKNOWN = "the activity left out"  # among unknown windows, to a model that has not learnt it
# What stands beside streaming figures.
TWO_PASS, BACKWARDS, STATES, STATES_LATER = "two-pass", "in reverse order", "states", "states, 2 s later"
PLACED = "with the place stated"  # to the model, which hears none otherwise
LAGS_S = {STATES: 0.0, STATES_LATER: 2.0}


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Probabilities (N, K) of `labels` for windows of `truth`, `subject`, `place` and `dataset` (N,), at `temperature`
    (N,); `calibrated` (N,) says whether the mounting was learnt by then, `familiar` (N,) how familiar they are, 1 where
    nothing says it.

    A truth may be one of several labels; then each of them is right, and the window counts in no label's F1.
    `baselines` are the labels (N,) that others gave the same windows, by name, several times where they have seeds.
    """

    labels: tuple[str, ...]
    truth: Texts
    subject: Texts
    place: Texts
    dataset: Texts
    calibrated: NDArray[np.bool_]
    probabilities: Float64Array
    temperature: Float64Array
    familiar: Float64Array
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
    def certainty(self) -> Certainty:
        return Certainty(self.confidence, self.familiar)

    @property
    def right(self) -> NDArray[np.bool_]:
        return self.is_right(self.predictions)

    def is_right(self, labels: Texts) -> NDArray[np.bool_]:
        """Whether each of `labels` (N,) is right for its window."""
        pairs = zip(self.truth.tolist(), labels.tolist(), strict=True)
        return np.array([label in alternatives(truth) for truth, label in pairs], dtype=bool)

    @property
    def of_one_label(self) -> NDArray[np.bool_]:
        """Which windows (N,) have one label as their truth."""
        return np.asarray(np.char.find(self.truth, EITHER) < 0)

    @property
    def score(self) -> Score:
        """The score of the windows of one label."""
        return self.score_of(self.predictions)

    def score_of(self, labels: Texts) -> Score:
        """The score of `labels` (N,) on the windows of one label."""
        rows = self.of_one_label
        return score(self.truth[rows].tolist(), labels[rows].tolist(), self.labels)

    def at(self, rows: NDArray[np.bool_]) -> Outcome:
        """The windows in which `rows` (N,) holds, baselines left out."""
        return Outcome(self.labels, **{name: getattr(self, name)[rows] for name in ARRAYS})

    def over(self, labels: tuple[str, ...]) -> Outcome:
        """The same over more labels, which have no probability."""
        columns = [labels.index(label) for label in self.labels]
        probabilities = np.zeros((len(self), len(labels)))
        probabilities[:, columns] = self.probabilities
        return replace(self, labels=labels, probabilities=probabilities)

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
    """Outcomes by part ("train", "validation", "test") as the daemon would label, and `beside` TWO_PASS, BACKWARDS and
    the states of the last part; the epochs of its training, the longest prompt in tokens, the certainty with which
    each kind of input that is no activity was labelled, the loss on the test windows (None where none were tested, or
    where it isn't finite), a sample of each label, and of the last part's people the `state_losses` (G, S) of
    `training.results.states`, empty where the split isn't by subject, and the certainty of their windows of `unknown`
    activities: UNKNOWN, and labels that were dropped."""

    parts: dict[str, Outcome]
    history: tuple[Epoch, ...]
    prompt_tokens: int
    out_of_distribution: dict[str, Certainty]
    test_loss: float | None = None
    samples: tuple[Sample, ...] = ()
    beside: dict[str, Outcome] = field(default_factory=dict)
    state_losses: Float64Array = field(default_factory=lambda: np.empty((0, 0)))
    unknown: dict[str, Certainty] = field(default_factory=dict)

    @property
    def last(self) -> str:
        """The part that judges: "test" where there is one."""
        return "test" if "test" in self.parts else "validation"

    def save(self, path: Path) -> None:
        """Writes it as one .npz, with all that isn't an array as JSON in its `about`."""
        arrays: dict[str, Any] = {"state_losses": self.state_losses}
        for group in OTHERS:
            for kind, certainty in getattr(self, group).items():
                arrays |= {f"{group}/{name}/{kind}": found for name, found in certainty._asdict().items()}
        parts = {}
        for part, outcome in (self.parts | self.beside).items():
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
            found = {group: _certainties(arrays, f"{group}/confidence/", f"{group}/familiar/") for group in OTHERS}
            losses = arrays["state_losses"]
        beside = {name: parts.pop(name) for name in (TWO_PASS, BACKWARDS, PLACED, *LAGS_S) if name in parts}
        return cls(
            parts, about.history, about.prompt_tokens, found["out_of_distribution"], about.test_loss, about.samples,
            beside, losses, found["unknown"],
        )  # fmt: skip


def _certainties(arrays: Any, *begins: str) -> dict[str, Certainty]:
    kinds = [name.removeprefix(begins[0]) for name in arrays.files if name.startswith(begins[0])]
    return {kind: Certainty(*(arrays[f"{begin}{kind}"] for begin in begins)) for kind in kinds}


def outcome_of(
    predictions: Sequence[Prediction],
    windows: LabelledWindows,
    labels: Sequence[str],
    temperature: float,
    baselines: Mapping[str, list[Texts]] | None = None,
) -> Outcome:
    """The outcome of `predictions` (N) for `windows` (N)."""
    return Outcome(
        tuple(labels),
        windows.truth,
        windows.subject,
        windows.place,
        windows.dataset,
        windows.calibrated,
        np.stack([p.probabilities for p in predictions]),
        np.full(len(predictions), temperature),
        certainty_of(predictions).familiar,
        dict(baselines or {}),
    )


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """All windows of outcomes that share their baselines, over all labels of any."""
    labels = ordered(np.array([label for outcome in outcomes for label in outcome.labels]))
    labels = labels if set(labels) > set(outcomes[0].labels) else outcomes[0].labels
    outcomes = [outcome.over(labels) for outcome in outcomes]
    first = outcomes[0]
    return Outcome(
        labels=labels,
        **{name: np.concatenate([getattr(outcome, name) for outcome in outcomes]) for name in ARRAYS},
        baselines={
            name: [np.concatenate([outcome.baselines[name][i] for outcome in outcomes]) for i in range(len(runs))]
            for name, runs in first.baselines.items()
        },
    )


def figures(outcome: Outcome, beside: Mapping[str, Outcome] | None = None) -> Figures:
    """Scores by label, place and subject, calibration error with and without temperature scaling, and the baselines; in
    short those of the windows before and after their device was calibrated, and of the same model `beside`."""
    before, once = outcome.at(~outcome.calibrated), outcome.at(outcome.calibrated)
    others = {BEFORE_CALIBRATED: before, CALIBRATED: once, **(beside or {})}
    if BACKWARDS in others:
        others[f"{BACKWARDS}, {CALIBRATED}"] = others[BACKWARDS].at(others[BACKWARDS].calibrated)
    result = outcome.score
    by_subject = _macro_f1_by(outcome, outcome.subject)
    return Figures(
        **structs.asdict(_in_short(outcome)),
        f1={label: round(f1, 4) for label, f1 in zip(result.truths, result.f1, strict=True)},
        macro_f1_by_subject=by_subject,
        worst_subject=min(by_subject, key=by_subject.__getitem__),
        beside={name: _in_short(other) for name, other in others.items() if other.of_one_label.any()},
        calibration_error_before=round(calibration_error(outcome.uncalibrated(), outcome.right), 4),
        baselines={name: baseline_figures(outcome, name) for name in outcome.baselines},
    )


def _in_short(outcome: Outcome) -> ShortFigures:
    by_place = _macro_f1_by(outcome, outcome.place) if outcome.place.any() else {}
    return ShortFigures(
        windows=len(outcome),
        accuracy=round(float(outcome.right.mean()), 4),
        macro_f1=round(outcome.score.macro_f1, 4),
        calibration_error=round(calibration_error(outcome.confidence, outcome.right), 4),
        macro_f1_by_place={place or NOT_STATED: f1 for place, f1 in by_place.items()},
    )


def _macro_f1_by(outcome: Outcome, group: Texts) -> dict[str, float]:
    """macro-F1 of each value of `group` (N,) that has windows of one label."""
    names = dict.fromkeys(group[outcome.of_one_label].tolist())
    return {name: round(outcome.at(group == name).score.macro_f1, 4) for name in names}


def baseline_figures(outcome: Outcome, name: str) -> BaselineFigures:
    """Accuracy, macro-F1 and F1 by label of a baseline, means over its seeds."""
    runs = outcome.baselines[name]
    scores = [outcome.score_of(labels) for labels in runs]
    return BaselineFigures(
        accuracy=round(float(np.mean([outcome.is_right(labels).mean() for labels in runs])), 4),
        macro_f1=round(float(np.mean([s.macro_f1 for s in scores])), 4),
        f1={
            label: round(float(np.mean(f1)), 4)
            for label, *f1 in zip(scores[0].truths, *(s.f1 for s in scores), strict=True)
        },
    )


def metrics_of(trial: Trial) -> TrainingMetrics:
    """What a manifest carries of one fine-tune; the threshold is chosen on its validation windows."""
    shown, chooser = trial.parts[trial.last], trial.parts["validation"]
    threshold = recommended(chooser.certainty.counted, chooser.right)
    parts = {
        part: figures(outcome, trial.beside if part == trial.last else None) for part, outcome in trial.parts.items()
    }
    return TrainingMetrics(
        train=parts.get("train"),
        validation=parts["validation"],
        test=parts.get("test"),
        abstaining=abstaining(shown.certainty.counted, shown.right, threshold, RULE, trial.out_of_distribution),
        losses=losses_of(trial),
        samples=trial.samples,
        prompt_tokens=trial.prompt_tokens,
        epoch=best_epoch(trial),
        dropped={name: unknown(shown.certainty, found, threshold) for name, found in trial.unknown.items()},
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
