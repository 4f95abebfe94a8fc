"""What one fine-tune leaves for a report: outcomes, certainties, losses. It goes to disk as one .npz, for a fold runs
as its own process."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hard.model.figures import Losses, Sample, TrainingMetrics
from hard.records import Float64Array
from training.loop.trained import Epoch
from training.results.confidence import RULE, Certainty, abstaining, recommended, unknown
from training.results.outcome import ARRAYS, BACKWARDS, LAGS_S, PLACED, TWO_PASS, Outcome, figures

OTHERS = ("out_of_distribution", "unknown")  # certainties of a trial


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
