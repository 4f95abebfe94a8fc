"""Who is learnt from, who chooses the epoch, who judges: a split by subject, never by window.

Windows overlap and a person's windows resemble one another, so a split by window would measure memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data import Labelled
from training.guards import RefusedError

VALIDATION_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Split:
    """Subjects by part; no subject is in two."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def parts(self) -> dict[str, list[str]]:
        """By name, for the manifest."""
        return {"train": list(self.train), "validation": list(self.validation), "test": list(self.test)}


def by_subject(subjects: Sequence[str], holdout: Sequence[str], validation: int | None, seed: int) -> Split:
    """`holdout` is the test; of the others `validation` (None: 15 %, at least one) are drawn by `seed`.

    Raises RefusedError when a held-out subject isn't in the data or nobody is left to learn from.
    """
    present = list(dict.fromkeys(subjects))
    if unknown := [s for s in holdout if s not in present]:
        raise RefusedError(f"subject {unknown[0]!r} of --holdout is not in the data; there are {', '.join(present)}")
    rest = [s for s in present if s not in set(holdout)]
    drawn = max(1, round(VALIDATION_SHARE * len(rest))) if validation is None else validation
    if not 1 <= drawn < len(rest):
        raise RefusedError(
            f"{len(rest)} subjects are left after --holdout, too few to learn from some and validate on {drawn}"
        )
    chosen = {rest[i] for i in np.random.default_rng(seed).permutation(len(rest))[:drawn]}
    return Split(
        tuple(s for s in rest if s not in chosen),
        tuple(s for s in rest if s in chosen),
        tuple(s for s in present if s in set(holdout)),
    )


def check_classes(labelled: Labelled, split: Split, labels: Sequence[str]) -> None:
    """Raises RefusedError when a label has no window to learn from, or none to validate on."""
    for part, subjects in (("train", split.train), ("validate", split.validation)):
        present = set(labelled.of(subjects).truth.tolist())
        if missing := [label for label in labels if label not in present]:
            raise RefusedError(
                f"there is no window of {missing[0]!r} to {part} on: choose other subjects with --holdout or --seed"
            )
