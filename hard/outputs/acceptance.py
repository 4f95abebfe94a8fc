"""Whether a label is accepted, and the parent that stands for it where it isn't. Pure: no clock, no MQTT, no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hard.records import UNUSABLE, Prediction, Window


def is_usable(window: Window) -> bool:
    """Whether a label of the window can mean anything: somebody wears its device, which has no problem of UNUSABLE."""
    return window.worn and (not window.problems or set(UNUSABLE).isdisjoint(window.problems))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A label is accepted from a probability of `min_confidence` on, where its window is usable, and familiar by
    `min_familiar` at least or nothing says how familiar it is. `parents` names those of the `labels` (K,) that together
    are one coarser activity."""

    labels: tuple[str, ...]
    parents: Mapping[str, Sequence[str]]
    min_confidence: float
    min_familiar: float = 0.0

    def accepts(self, prediction: Prediction) -> bool:
        """Whether the label of `prediction` is accepted."""
        return (
            prediction.confidence >= self.min_confidence
            and self.is_familiar(prediction)
            and is_usable(prediction.window)
        )

    def is_familiar(self, prediction: Prediction) -> bool:
        """Whether the window resembles what the model learnt from closely enough."""
        return prediction.familiar is None or prediction.familiar >= self.min_familiar

    def parent(self, prediction: Prediction) -> str | None:
        """The parent that stands for the label of `prediction`: None where the label is accepted, where no parent's
        labels reach the threshold together, and where the window is not usable or not familiar enough."""
        if self.accepts(prediction) or not self.is_familiar(prediction) or not is_usable(prediction.window):
            return None
        parent, total = self.best_parent(prediction.probabilities.tolist())
        return parent if total >= self.min_confidence else None

    def best_parent(self, probabilities: Sequence[float]) -> tuple[str, float]:
        """The most probable parent and the sum of its labels' `probabilities` (K,); "" and -1 without parents."""
        sums = [
            (sum([probabilities[self.labels.index(label)] for label in children]), name)
            for name, children in self.parents.items()
        ]
        total, name = max(sums, default=(-1.0, ""))
        return name, total
