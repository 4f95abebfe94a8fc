"""What a bundle predicted for windows whose truth is known, and the figures that follow. Knows no model, no console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from hard.model.figures import BaselineFigures, Figures, ShortFigures
from hard.recordings.scores import EITHER, Score, alternatives, score
from hard.records import Float64Array, Prediction
from training.data.loading import LabelledWindows, ordered
from training.results.confidence import Certainty, calibration_error, certainty_of

NOT_STATED = "not stated"  # in figures by place
Texts = NDArray[np.str_]
Baselines = dict[str, list[Texts]]
ARRAYS = ("truth", "subject", "place", "dataset", "calibrated", "probabilities", "temperature", "familiar")
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
