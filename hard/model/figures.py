"""How well a model labels, as its manifest and the reports carry it: records alone. Shares and scores lie in 0 to 1.

`scripts/training/results` works them out; F1 and its mean over the labels, macro-F1, are `hard.recordings.scores`'s.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FoldsBy = Literal["subject", "dataset", "place", "activity"]
Verdict = Literal["above", "below", "undecided"]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what follows."""


class BaselineFigures(Record, frozen=True):
    """Another model on the same windows: means over its seeds; `f1` by label."""

    accuracy: float
    macro_f1: float
    f1: dict[str, float]


class ShortFigures(Record, frozen=True, kw_only=True, omit_defaults=True):
    """As `Figures` has them, of some of the windows, of the same windows with another mounting, or of the states. Those
    by place are where places are stated."""

    windows: int
    accuracy: float
    macro_f1: float
    calibration_error: float
    macro_f1_by_place: dict[str, float] = {}


class Figures(ShortFigures, frozen=True, kw_only=True, omit_defaults=True):
    """The model on windows whose truth is known, as the daemon would have labelled them. Calibration errors are the
    expected ones (Guo 2017), `before` without temperature scaling. `beside` has the windows before and after their
    device's mounting was learnt, all windows in two passes, and with each device's recordings in reverse order; and the
    states of the windows, whichever their confidence, at once and later."""

    f1: dict[str, float]
    macro_f1_by_subject: dict[str, float]
    worst_subject: str
    calibration_error_before: float
    baselines: dict[str, BaselineFigures] = {}
    beside: dict[str, ShortFigures] = {}

    @property
    def worst_place(self) -> str:
        """The place with the least macro-F1, empty where none is stated."""
        return min(self.macro_f1_by_place, key=self.macro_f1_by_place.__getitem__, default="")


class Abstaining(Record, frozen=True):
    """The recommended `labels.min_confidence`, and by which rule (`source`) on which windows.

    `curve` has threshold, share of windows accepted, share of these that are right; `no_activity` the share of input
    that is no activity which is accepted all the same, by kind.
    """

    min_confidence: float
    source: str
    curve: tuple[tuple[float, float, float], ...]
    no_activity: dict[str, float]


class Losses(Record, frozen=True, omit_defaults=True):
    """Mean cross entropy of a label's token, by epoch, and on the test windows; None where it isn't finite."""

    training: tuple[float | None, ...]
    validation: tuple[float | None, ...]
    test: float | None = None


class Sample(Record, frozen=True):
    """A window of `truth`: its prompt, the label it is given, and the text that the model writes for it freely."""

    truth: str
    label: str
    confidence: float
    generated: str
    prompt: str


class Mean(Record, frozen=True):
    """A mean over folds, and its standard error."""

    mean: float
    standard_error: float


class Comparison(Mean, frozen=True):
    """The model less a baseline in macro-F1, fold by fold."""

    verdict: Verdict


class FoldFigures(Figures, frozen=True, kw_only=True, omit_defaults=True):
    """One fold's test `subjects`, the epoch whose weights were kept, and the data set, place or activity that was left
    out, empty where subjects were."""

    subjects: tuple[str, ...]
    epoch: float | None
    left_out: str = ""


class UnknownActivity(Record, frozen=True):
    """Windows of an activity that is none of the model's labels: how likely its confidence in one is below that in a
    known window (AUROC), the same of how familiar it is, and of both (the confidence, less in proportion where a window
    is not familiar enough); which share is accepted at the thresholds."""

    windows: int
    auroc: float
    auroc_familiar: float
    auroc_both: float
    accepted: float


class CrossValidation(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Models of one recipe, each judged on subjects that it has never seen, or on a data set, place or activity (`by`)
    that it has never seen. `seen_before` are those subjects whom the bundle that they began with has seen. `pooled` is
    over all test windows together, `against` compares with each baseline; `unknown` is by activity left out,
    `dropped` by label that the recipe drops."""

    name: str
    command: str
    seen_before: tuple[str, ...]
    folds: tuple[FoldFigures, ...]
    over_folds: dict[str, Mean]
    baselines_over_folds: dict[str, Mean]
    pooled: Figures
    prompt_tokens: int
    against: dict[str, Comparison]
    by: FoldsBy = "subject"
    unknown: dict[str, UnknownActivity] = {}
    dropped: dict[str, UnknownActivity] = {}


class TrainingMetrics(Record, frozen=True, omit_defaults=True):
    """All figures that a manifest has of one fine-tune. `epoch` is the one whose weights were kept, by macro-F1 on the
    validation windows; `train` are figures on the windows learnt from, where there are no others to check by."""

    train: Figures | None = None
    validation: Figures | None = None
    test: Figures | None = None
    abstaining: Abstaining | None = None
    losses: Losses | None = None
    samples: tuple[Sample, ...] = ()
    prompt_tokens: int = 0
    epoch: float | None = None
    cross_validation: CrossValidation | None = None
    left_out: tuple[CrossValidation, ...] = ()  # by data set, place or activity
    dropped: dict[str, UnknownActivity] = {}  # by label that was left out of the data, of people not trained on
    macro_f1_by_rate: tuple[tuple[float, float], ...] = ()  # sample rate in Hz, macro-F1 of the same people's streams

    @property
    def parts(self) -> dict[str, Figures]:
        """The figures by part, the weightiest first."""
        parts = {"test": self.test, "validation": self.validation, "train": self.train}
        return {name: figures for name, figures in parts.items() if figures is not None}
