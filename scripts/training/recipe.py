"""What a fine-tune is told: one frozen record, with the defaults of the two kinds of base. Reads no data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from hard.model.prompts import SEED_FEATURES
from hard.motion.features import names
from training.errors import RefusedError

SCRATCH = "scratch"
# The default model's; no mounting changes any of them. The best by boosting's gain over six subject-wise folds of
# MotionSense (scripts/LOG.md). With the end token 47 tokens.
COMPACT_FEATURES = (
    *("v.mean", "v.std", "v.min", "v.max", "v.q10", "v.q25", "v.q75", "v.q90", "v.iqr", "v.jerk", "v.lag", "v.e1"),
    *("v.e5", "v.k1", "v.k2", "v.k3", "f.q75", "f.q90", "f.iqr", "f.jerk", "f.peak", "f.lag", "f.e1", "f.e2", "f.k1"),
    *("f.k2", "f.k4", "f.s2", "f.s4", "l.max", "l.jerk", "h.peak", "h.c2", "m.mean", "m.q25", "m.q50", "m.q75"),
    *("m.iqr", "m.jerk", "m.peak", "m.lag", "m.e3", "m.k2", "m.c2", "tilt.cos", "lean.cos"),
)


# What each number must be: the lowest, the highest, both allowed. Nan lies nowhere.
TINY = 1e-300  # above zero
RANGES: dict[str, tuple[float, float]] = {
    "levels": (2, 100),
    "epochs": (1, 100_000),
    "patience": (1, math.inf),
    "batch": (1, 100_000),
    "accumulate": (1, 100_000),
    "lr": (TINY, math.inf),
    "copies": (0, 1000),
    "word_dropout": (0, 0.99),
    "outliers": (0, 1),
    "label_smoothing": (0, 0.99),
    "time_limit": (TINY, math.inf),
    "seed": (0, 2**32 - 1),
    "max_tokens": (1, math.inf),
    "threads": (0, 10_000),
}
LOWEST_HZ = 8.0  # at which outliers can be made: a machine swings faster than people, at 3.5 Hz and more


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
    cross_validation: Path | None = None
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
    outliers: float | None = None
    label_smoothing: float | None = None
    patience: int = 4
    refit: bool = False
    resume: bool = False
    time_limit: float | None = None
    seed: int = 0
    precision: str = "auto"
    max_tokens: int = 512
    threads: int = 0
    time_unit: str | None = None
    recorded_hz: float | None = None
    unit: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    command: str = ""

    def settled(self) -> Recipe:
        """The recipe with every open choice made. Raises RefusedError for numbers out of range, and for choices that
        contradict one another."""
        for name, (low, high) in RANGES.items():
            check_range(f"--{name.replace('_', '-')}", getattr(self, name), low, high)
        scratch = self.base == SCRATCH
        if self.prompt == "seed" and self.features:
            raise RefusedError(
                "the seed prompt has its own six features: leave --features out or choose --prompt compact"
            )
        given = [name for name in ("holdout", "validation") if getattr(self, name) not in ((), None)]
        if self.split != "subject" and given:
            does = "deals windows, not people" if self.split == "random" else "has everybody in every part"
            raise RefusedError(f"--split {self.split} {does}: leave --{given[0]} out")
        features = SEED_FEATURES if self.prompt == "seed" else self.features or COMPACT_FEATURES
        if len(set(features)) != len(features):
            raise RefusedError("a feature is named twice in --features")
        if unknown := set(features) - set(names()):
            raise RefusedError(f"there is no feature {min(unknown)!r}: hard/motion/features.py lists them")
        defaults = {
            "epochs": 4,
            "batch": 64 if scratch else 8,
            "accumulate": 1 if scratch else 2,
            "lr": 3e-3 if scratch else 1e-3,
            "schedule": "cosine" if scratch else "constant",
            "copies": 3 if self.prompt == "compact" else 0,
            "word_dropout": 0.15 if self.prompt == "compact" else 0.0,
            "outliers": 0.05 if self.prompt == "compact" else 0.0,
            "label_smoothing": 0.05 if scratch else 0.0,
        }
        choices = {key: value for key, value in defaults.items() if getattr(self, key) is None}
        name = self.name or (self.out.name if scratch else f"{Path(self.base).name}-{self.prompt}")
        made = replace(self, features=features, name=name, **choices)  # type: ignore[arg-type]
        if made.outliers and made.rate_hz < LOWEST_HZ:
            raise RefusedError(f"windows that are no activity need --rate {LOWEST_HZ:g} or more: add --outliers 0")
        return made


def check_range(option: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Raises RefusedError where `value` is given and lies outside."""
    if value is None or low <= value <= high:
        return
    least = "above 0" if low == TINY else f"{low:g} or more"
    raise RefusedError(f"{option} must be {least}{f', at most {high:g}' * (high < math.inf)}, not {value:g}")
