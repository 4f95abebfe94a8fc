"""What a fine-tune is told: one frozen record, with the defaults of the two kinds of base. Reads no data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hard.model.prompts import SEED_FEATURES
from hard.motion.features import names
from training.guards import RefusedError

SCRATCH = "scratch"
# The default model's: 28 that no mounting changes, 18 of the device's own axes. Chosen by boosting's gain over five
# subject-wise folds of MotionSense without subjects 3, 9 and 15 (scripts/LOG.md). With the end token 47 tokens.
COMPACT_FEATURES = (
    *("v.std", "v.max", "v.q10", "v.q25", "v.iqr", "v.jerk", "v.freq", "v.lag", "v.e1"),
    *("h.peak", "h.lag", "a.peak", "a.lag", "a.e1", "a.e3", "b.q75", "b.peak", "b.lag"),
    *("m.q75", "m.q90", "m.iqr", "m.jerk", "m.freq", "m.peak", "m.lag", "m.e1", "m.e3"),
    "tilt.cos",
    *("x.lag", "y.std", "y.min", "y.max", "y.q10", "y.q25", "y.q50", "y.q75", "y.q90", "y.jerk", "y.e1"),
    *("z.mean", "z.max", "z.q90", "z.peak", "z.lag", "z.e1", "z.e4"),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All choices of one fine-tune. None means "as the base needs it", see `settled`."""

    data: tuple[Path, ...]
    out: Path
    base: str = SCRATCH
    prompt: str = "compact"
    features: tuple[str, ...] = ()
    levels: int = 16
    name: str = ""
    holdout: tuple[str, ...] = ()
    split: str = "subject"
    baselines: bool = True
    validation: int | None = None
    length_s: float = 4.0
    rate_hz: float = 20.0
    hop_s: float = 1.0
    epochs: int | None = None
    batch: int | None = None
    accumulate: int | None = None
    lr: float | None = None
    schedule: str | None = None
    copies: int | None = None
    word_dropout: float | None = None
    label_smoothing: float | None = None
    patience: int = 4
    seed: int = 0
    precision: str = "auto"
    max_tokens: int = 512
    threads: int = 0
    time_unit: str | None = None
    recorded_hz: float | None = None
    unit: str = "m/s2"
    command: str = ""

    def settled(self) -> Recipe:
        """The recipe with every open choice made. Raises RefusedError for choices that contradict one another."""
        scratch = self.base == SCRATCH
        if self.prompt == "seed" and self.features:
            raise RefusedError(
                "the seed prompt has its own six features: leave --features out or choose --prompt compact"
            )
        if self.split == "random" and self.holdout:
            raise RefusedError("--split random deals windows, not people: leave --holdout out")
        features = SEED_FEATURES if self.prompt == "seed" else self.features or COMPACT_FEATURES
        if len(set(features)) != len(features):
            raise RefusedError("a feature is named twice in --features")
        if unknown := set(features) - set(names()):
            raise RefusedError(f"there is no feature {min(unknown)!r}: hard/motion/features.py lists them")
        defaults = {
            "epochs": 6 if scratch else 4,
            "batch": 64 if scratch else 8,
            "accumulate": 1 if scratch else 2,
            "lr": 3e-3 if scratch else 1e-3,
            "schedule": "cosine" if scratch else "constant",
            "copies": 3 if self.prompt == "compact" else 0,
            "word_dropout": 0.15 if self.prompt == "compact" else 0.0,
            "label_smoothing": 0.05 if scratch else 0.0,
        }
        choices = {key: value for key, value in defaults.items() if getattr(self, key) is None}
        name = self.name or (self.out.name if scratch else f"{Path(self.base).name}-{self.prompt}")
        return replace(self, features=features, name=name, **choices)  # type: ignore[arg-type]
