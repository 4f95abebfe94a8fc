"""Truths and labels → accuracy, macro-F1 and a confusion table. For `hard label --score` and the training scripts.

A truth that no label can match (a name that the bundle doesn't have) counts as wrong. A truth may be one of several
labels, with EITHER between: then each of them is right, and it counts in no label's F1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EITHER = "|"


def alternatives(truth: str) -> tuple[str, ...]:
    """The labels that are right for a window of `truth`."""
    return tuple(truth.split(EITHER))


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """How labels match truths over `count` windows.

    `confusion` (T, L) counts windows by truth (row, the names in `truths`) and label (column, the names in `labels`).
    `f1` (T,) is each truth's F1 score; `macro_f1` their plain mean: over the truths present, not over all labels.
    """

    truths: tuple[str, ...]
    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    accuracy: float
    f1: tuple[float, ...]
    macro_f1: float

    @property
    def count(self) -> int:
        return int(self.confusion.sum())


def score(truths: Sequence[str], labels: Sequence[str], names: Sequence[str] = ()) -> Score:
    """The score of `labels` (N,) against `truths` (N,). `names` are the bundle's labels, in order.

    Rows hold the truths present, in the order of `names`, then others by name; columns hold `names`, then other
    labels that occur. Raises ValueError when the lengths differ or there is nothing to score.
    """
    if len(truths) != len(labels):
        raise ValueError(f"{len(truths)} truths for {len(labels)} labels")
    if not len(truths):
        raise ValueError("nothing to score")
    present = set(truths)
    rows = [name for name in names if name in present] + sorted(present - set(names))
    columns = list(names) + sorted(set(labels) - set(names))
    row_of, column_of = ({name: i for i, name in enumerate(side)} for side in (rows, columns))
    confusion = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(confusion, ([row_of[t] for t in truths], [column_of[label] for label in labels]), 1)
    right = np.array([confusion[i, column_of[name]] if name in column_of else 0 for i, name in enumerate(rows)])
    given = np.array([confusion[:, column_of[name]].sum() if name in column_of else 0 for name in rows])
    # 2·right / (truths + labels) is F1 without 0/0: each row holds at least one truth.
    f1 = 2 * right / (confusion.sum(axis=1) + given)
    return Score(
        truths=tuple(rows),
        labels=tuple(columns),
        confusion=confusion,
        accuracy=float(right.sum() / confusion.sum()),
        f1=tuple(f1.tolist()),
        macro_f1=float(f1.mean()),
    )


def table(result: Score) -> str:
    """The confusion table as text: a row a truth, a column a label, the truth's F1 last."""
    heads = ["truth \\ label", *result.labels, "F1"]
    rows = [
        [name, *map(str, counts), f"{f1:.3f}"]
        for name, counts, f1 in zip(result.truths, result.confusion.tolist(), result.f1, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in [heads, *rows]]
    return "\n".join(lines)
