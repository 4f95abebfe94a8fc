"""What a bundle said to windows whose truth is known, with the figures that follow. Knows no model and no console.

A `Trial` is what one fine-tune leaves for a report; it goes to disk as one .npz, for a fold runs as its own process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hard.recordings.scores import Score, score
from hard.records import Float64Array, Prediction
from training.results.confidence import calibration_error

Texts = NDArray[np.str_]
Epoch = tuple[float, float, float, float]  # which; training loss, validation loss, validation macro-F1


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
    baselines: dict[str, list[Texts]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def said(self) -> Texts:
        return np.array(self.labels)[self.probabilities.argmax(axis=1)]

    @property
    def confidence(self) -> Float64Array:
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.said == self.truth)

    @property
    def score(self) -> Score:
        return score(self.truth.tolist(), self.said.tolist(), self.labels)

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


@dataclass(frozen=True, slots=True)
class Sample:
    """A window of `truth`: its prompt, the label it is given, and the text that the model writes for it freely."""

    truth: str
    label: str
    confidence: float
    generated: str
    prompt: str


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Outcomes by part ("validation", "test"), the epochs of its training, the prompt's tokens, the confidence (N,)
    with which each kind of input that is no activity was labelled, the loss on the test windows (nan without any), and
    a sample of each label."""

    parts: dict[str, Outcome]
    history: list[Epoch]
    tokens: int
    strangers: dict[str, Float64Array]
    test_loss: float = math.nan
    samples: list[Sample] = field(default_factory=list)

    def save(self, path: Path) -> None:
        arrays: dict[str, Any] = {f"strangers/{kind}": found for kind, found in self.strangers.items()}
        about: dict[str, Any] = {"history": self.history, "tokens": self.tokens, "test_loss": self.test_loss}
        about |= {"samples": [asdict(sample) for sample in self.samples], "parts": {}}
        for part, outcome in self.parts.items():
            for name in ("truth", "subject", "probabilities", "temperature"):
                arrays[f"{part}/{name}"] = getattr(outcome, name)
            for name, runs in outcome.baselines.items():
                arrays |= {f"{part}/baseline/{name}/{i}": said for i, said in enumerate(runs)}
            about["parts"][part] = {
                "labels": outcome.labels,
                "baselines": {name: len(runs) for name, runs in outcome.baselines.items()},
            }
        np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)

    @classmethod
    def load(cls, path: Path) -> Trial:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            parts = {
                part: Outcome(
                    tuple(held["labels"]),
                    *(arrays[f"{part}/{name}"] for name in ("truth", "subject", "probabilities", "temperature")),
                    baselines={
                        name: [arrays[f"{part}/baseline/{name}/{i}"] for i in range(count)]
                        for name, count in held["baselines"].items()
                    },
                )
                for part, held in about["parts"].items()
            }
            strangers = {name.partition("/")[2]: arrays[name] for name in arrays.files if name.startswith("strangers/")}
        history, samples = ([tuple(epoch) for epoch in about["history"]], [Sample(**s) for s in about["samples"]])
        return cls(parts, history, about["tokens"], strangers, about["test_loss"], samples)


def outcome_of(
    predictions: Sequence[Prediction],
    truth: Sequence[str],
    labels: Sequence[str],
    temperature: float,
    baselines: dict[str, list[Texts]] | None = None,
) -> Outcome:
    """The outcome of `predictions` (N) against `truth` (N,)."""
    return Outcome(
        tuple(labels),
        np.array(truth, dtype=np.str_),
        np.array([p.window.device for p in predictions], dtype=np.str_),
        np.stack([p.probabilities for p in predictions]),
        np.full(len(predictions), temperature),
        baselines or {},
    )


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """All windows of outcomes that share their labels and baselines."""
    first = outcomes[0]
    return Outcome(
        first.labels,
        *(
            np.concatenate([getattr(outcome, name) for outcome in outcomes])
            for name in ("truth", "subject", "probabilities", "temperature")
        ),
        baselines={
            name: [np.concatenate([outcome.baselines[name][i] for outcome in outcomes]) for i in range(len(runs))]
            for name, runs in first.baselines.items()
        },
    )


def figures(outcome: Outcome) -> dict[str, Any]:
    """What the manifest and the card carry: by label, by subject, calibration error before and after, baselines."""
    result = outcome.score
    by_subject = {subject: outcome.of(subject).score.macro_f1 for subject in dict.fromkeys(outcome.subject.tolist())}
    told: dict[str, Any] = {
        "windows": result.count,
        "accuracy": round(result.accuracy, 4),
        "macro_f1": round(result.macro_f1, 4),
        "f1": {label: round(f1, 4) for label, f1 in zip(result.truths, result.f1, strict=True)},
        "macro_f1_by_subject": {subject: round(f1, 4) for subject, f1 in by_subject.items()},
        "worst_subject": min(by_subject, key=by_subject.__getitem__),
        "calibration_error": round(calibration_error(outcome.confidence, outcome.right), 4),
        "calibration_error_before": round(calibration_error(outcome.uncalibrated(), outcome.right), 4),
    }
    if outcome.baselines:
        told["baselines"] = {name: baseline_figures(outcome, name) for name in outcome.baselines}
    return told


def baseline_figures(outcome: Outcome, name: str) -> dict[str, Any]:
    """Accuracy, macro-F1 and F1 by label of a baseline, means over its seeds."""
    scores = [score(outcome.truth.tolist(), said.tolist(), outcome.labels) for said in outcome.baselines[name]]
    return {
        "accuracy": round(float(np.mean([s.accuracy for s in scores])), 4),
        "macro_f1": round(float(np.mean([s.macro_f1 for s in scores])), 4),
        "f1": {
            label: round(float(np.mean(f1)), 4)
            for label, *f1 in zip(scores[0].truths, *(s.f1 for s in scores), strict=True)
        },
    }


def side_by_side(told: dict[str, Any]) -> list[list[str]]:
    """`told` as `figures` gives it → a table of this model and its baselines: a head, then a row a figure."""
    columns = {"this model": told, **told["baselines"]}
    rows = [
        [name, *(f"{of[key]:.3f}" for of in columns.values())]
        for name, key in (("accuracy", "accuracy"), ("macro-F1", "macro_f1"))
    ]
    rows += [[label, *(f"{of['f1'][label]:.3f}" for of in columns.values())] for label in told["f1"]]
    return [["", *columns], *rows]
