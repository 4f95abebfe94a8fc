"""The options of a fine-tune → its recipe, in which every choice is made. Reads the base bundle, and no recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hard.model.bundle import Bundle
from hard.model.prompts import CONTEXT, SEED_FEATURES
from hard.motion.features import names
from training import base_bundle
from training.errors import RefusedError
from training.options import SCRATCH, Choices, Options

# The default model's; no mounting changes any of them. Chosen by boosting's gain (scripts/LOG.md).
COMPACT_FEATURES = (
    *("v.std", "v.max", "v.q10", "v.q25", "v.q75", "v.q90", "v.iqr", "v.skew", "v.jerk", "v.peak", "v.freq", "v.e1"),
    *("v.e3", "v.e5", "v.k1", "v.k2", "v.c2", "f.peak", "f.lag", "f.iqr", "f.jerk", "f.e1", "f.c2", "l.lag", "l.jerk"),
    *("h.mean", "h.peak", "h.jerk", "h.e5", "m.mean", "m.q25", "m.q75", "m.q90", "m.iqr", "m.jerk", "m.peak", "m.freq"),
    *("m.k2", "m.e1", "m.e3", "step.freq", "vf.corr", "tilt.cos", "lean.cos"),
    *(
        "long.h.lag",
        "long.m.peak",
        "long.v.peak",
        "long.m.skew",
        "long.tilt.cos",
        "long.l.lag",
        "long.f.peak",
        "long.m.e1",
        "long.v.e1",
        "long.m.lag",
        "long.h.peak",
        "long.m.iqr",
        "long.v.jerk",
        "long.h.c2",
        "long.v.freq",
        "long.v.skew",
        "long.h.q25",
        "long.m.e5",
        "long.v.q90",
        "long.f.lag",
        "long.v.e5",
        "long.v.e3",
        "long.l.peak",
        "long.m.freq",
    ),
)

EPOCH_WINDOWS = 150_000  # that an epoch draws at most, unless --epoch-windows says otherwise
ABOVE_ZERO = 1e-300  # stands for "greater than 0"
# The lowest and the highest value of each number, both allowed. NaN is always refused.
RANGES: dict[str, tuple[float, float]] = {
    "levels": (2, 100),
    "epochs": (1, 100_000),
    "patience": (1, math.inf),
    "epoch_windows": (1, 1e9),
    "batch": (1, 100_000),
    "accumulate": (1, 100_000),
    "lr": (ABOVE_ZERO, math.inf),
    "copies": (0, 1000),
    "word_dropout": (0, 0.99),
    "outliers": (0, 1),
    "label_smoothing": (0, 0.99),
    "time_limit": (ABOVE_ZERO, math.inf),
    "seed": (0, 2**32 - 1),
    "max_tokens": (1, math.inf),
    "threads": (0, 10_000),
}
MIN_OUTLIER_RATE_HZ = 8.0  # outliers imitate machines that vibrate at 3.5 Hz and more


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Choices):
    """All choices of one fine-tune. `base_bundle` is the bundle that it adapts, None for any other base."""

    epochs: int
    batch: int
    accumulate: int
    lr: float
    schedule: str
    copies: int
    word_dropout: float
    outliers: float
    label_smoothing: float
    base_bundle: Bundle | None = None


def finalise(options: Options) -> Recipe:
    """The recipe of `options`: what they leave open follows from base and prompt.

    Raises RefusedError for a number out of range, and for choices that contradict one another or the base bundle.
    """
    for name, (low, high) in RANGES.items():
        check_range(f"--{name.replace('_', '-')}", getattr(options, name), low, high)
    choices = {field.name: getattr(options, field.name) for field in fields(options)}
    base = base_bundle.read(options.base)
    if base is not None:
        choices |= _taken_over(base, options)
    prompt, asked = choices["prompt"], choices["features"]
    if prompt == "seed" and asked:
        raise RefusedError("the seed prompt has its own six features: leave --features out or choose --prompt compact")
    if unknown := [kind for kind in choices["context"] if kind not in CONTEXT or prompt == "seed"]:
        raise RefusedError(f"--context: the {prompt} prompt has no context {unknown[0]!r}")
    choices["features"] = _checked_features(SEED_FEATURES if prompt == "seed" else asked or COMPACT_FEATURES)
    _check_split(options)
    choices["name"] = choices["name"] or (
        options.out.name if options.base == SCRATCH else f"{Path(options.base).name}-{prompt}"
    )
    defaults = _defaults(options.base, base, prompt)
    recipe = Recipe(**choices | {name: value for name, value in defaults.items() if choices[name] is None})
    if recipe.outliers and recipe.rate_hz < MIN_OUTLIER_RATE_HZ:
        raise RefusedError(
            f"windows that are no activity need --rate {MIN_OUTLIER_RATE_HZ:g} or more: add --outliers 0"
        )
    return recipe


def check_range(option: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Raises RefusedError where `value` is given and lies outside."""
    if value is None or low <= value <= high:
        return
    least = "above 0" if low == ABOVE_ZERO else f"{low:g} or more"
    raise RefusedError(f"{option} must be {least}{f', at most {high:g}' * (high < math.inf)}, not {value:g}")


def _taken_over(base: Bundle, options: Options) -> dict[str, Any]:
    """What the bundle fixes, its path as the base, and the folder's name as the model's."""
    unset, found = Options(data=(), out=options.out), base_bundle.fixed(base)
    for name, value in {**found, "levels": unset.levels}.items():
        if getattr(options, name) not in (getattr(unset, name), value):
            raise RefusedError(f"--base {options.base} is a bundle and fixes {name.replace('_', ' ')}: leave it out")
    return {**found, "base": str(base.path), "base_bundle": base, "name": options.name or options.out.name}


def _defaults(name: str, base: Bundle | None, prompt: str) -> dict[str, Any]:
    compact = prompt == "compact"
    augmenting = {
        "copies": 3 if compact else 0,
        "word_dropout": 0.15 if compact else 0.0,
        "outliers": 0.05 if compact else 0.0,
    }
    small = name == SCRATCH or (base is not None and base_bundle.is_small(base))
    batches = {"batch": 64, "accumulate": 1} if small else {"batch": 8, "accumulate": 2}
    if base is not None:
        rate = {"epochs": 6, "lr": 2e-3 if small else 1e-3, "schedule": "cosine", "label_smoothing": 0.05}
    elif name == SCRATCH:
        rate = {"epochs": 4, "lr": 3e-3, "schedule": "cosine", "label_smoothing": 0.05}
    else:
        rate = {"epochs": 4, "lr": 1e-3, "schedule": "constant", "label_smoothing": 0.0}
    return {**augmenting, **batches, **rate}


def _checked_features(features: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(features)) != len(features):
        raise RefusedError("a feature is named twice in --features")
    if unknown := set(features) - set(names()):
        raise RefusedError(f"there is no feature {min(unknown)!r}: hard/motion/features.py lists them")
    return features


def _check_split(options: Options) -> None:
    if options.leave_out and options.split != "subject":
        raise RefusedError("--leave-out splits by subject beside: leave --split out")
    if options.leave_out and options.leave_out.startswith("activity=") != bool(options.holdout):
        raise RefusedError(
            "--leave-out of an activity is asked of test subjects: name some with --holdout"
            if not options.holdout
            else "--leave-out tests on what it leaves out: leave --holdout out"
        )
    given = [name for name in ("holdout", "validation") if getattr(options, name) not in ((), None)]
    if options.split != "subject" and given:
        does = "parts windows, not people" if options.split == "random" else "has every subject in every part"
        raise RefusedError(f"--split {options.split} {does}: leave --{given[0]} out")
