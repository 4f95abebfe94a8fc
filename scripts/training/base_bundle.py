"""A bundle as the base of a fine-tune: what is taken over from it. Knows no recordings and no optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hard.model import bundle
from hard.model.bundle import MANIFEST, WEIGHTS, Bundle, BundleError
from training.errors import RefusedError
from training.options import SCRATCH

BEFORE = "the bundle before"  # its name beside the model that was adapted from it
SMALL_BYTES = 40_000_000  # weights of at most 10 M parameters


def read(base: str) -> Bundle | None:
    """The bundle that `base` names, None where it names anything else. Raises RefusedError for a broken one."""
    if base == SCRATCH or not (bundle.find(base) / MANIFEST).is_file():
        return None
    try:
        return bundle.read(base, only=WEIGHTS)
    except BundleError as error:
        raise RefusedError(f"--base: {error}") from error


def fixed(base: Bundle) -> dict[str, Any]:
    """What no option may change, by its name: prompt, features (none named for the seed prompt), context and
    window."""
    prompt, window = base.manifest.prompt, base.manifest.window
    return {
        "prompt": prompt.style,
        "features": () if prompt.style == "seed" else prompt.features,
        "context": prompt.context,
        "length_s": window.length_s,
        "rate_hz": window.rate_hz,
    }


def is_small(base: Bundle) -> bool:
    """Whether its weights are trained in large batches, as those from scratch are."""
    return (base.path / WEIGHTS[1]).stat().st_size <= SMALL_BYTES


def labels(base: Bundle, present: Sequence[str]) -> tuple[str, ...]:
    """The bundle's labels, also those that the recordings lack, then those that only the recordings have."""
    return (*base.manifest.labels, *(label for label in present if label not in base.manifest.labels))
