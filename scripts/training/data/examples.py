"""Windows → training examples: features, levels, prompts as token ids, label tokens. Knows no optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from hard.model.tokens import Ids
from hard.motion.features import Known, extract
from hard.records import Float32Array, Float64Array

OTHERS = "other_labels"  # of an example whose truth is one of several labels
UNKNOWN_ID = 2  # <unk> of every T5 vocabulary: stands for a word that was dropped


def features_of(xyz: Float32Array, known: Known, rate_hz: float, wanted: Sequence[str]) -> Float32Array:
    """Features (N, F) of windows (N, T, 3) and what is `known` beside them, as the classifier has them, in parts."""
    parts = [slice(i, i + 2048) for i in range(0, len(xyz), 2048)]
    return np.concatenate([extract(xyz[part], known.at(part), rate_hz, wanted) for part in parts])


class Examples(Dataset[dict[str, Any]]):
    """Prompts `ids` and `mask` (N, L) with the index of each one's label (N,) in `label_tokens`.

    A label from len(label_tokens) on stands for one of several labels, which `either` lists: such an example has the
    tokens of the others under OTHERS.
    """

    def __init__(
        self,
        ids: Ids,
        mask: Ids,
        label: Ids,
        label_tokens: Sequence[Sequence[int]],
        *,
        either: Sequence[Sequence[int]] = (),
    ) -> None:
        self.ids, self.mask, self.label = ids, mask, label
        self.label_tokens = [list(tokens) for tokens in label_tokens]
        self._targets = [[tokens] for tokens in self.label_tokens]
        self._targets += [[self.label_tokens[k] for k in labels] for labels in either]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        return self.with_dropped(np.asarray(rows), None)

    def with_dropped(self, rows: Ids, dropped: NDArray[np.bool_] | None) -> list[dict[str, Any]]:
        """The examples at `rows` (R,), <unk> where `dropped` (R, L) holds; the end token stays."""
        ids, mask = self.ids[rows], self.mask[rows]
        lengths = mask.sum(axis=1)
        if dropped is not None:
            ids = np.where(dropped & (np.arange(ids.shape[1]) < lengths[:, None] - 1), UNKNOWN_ID, ids)
        columns = (ids.tolist(), mask.tolist(), lengths.tolist(), [self._targets[k] for k in self.label[rows].tolist()])
        return [
            {"input_ids": i[:n], "attention_mask": m[:n], "labels": first} | ({OTHERS: others} if others else {})
            for i, m, n, (first, *others) in zip(*columns, strict=True)
        ]

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return int(self.ids.shape[1])


class DrawnExamples(Dataset[dict[str, Any]]):
    """What an epoch shows of `examples`: `count` rows drawn by `weights` (N,), and of each a share of words less.

    With `word_dropout`, that share of a prompt's tokens is replaced by <unk>: the model learns not to lean on any one
    feature. Both are drawn afresh each epoch and follow from seed and epoch, so that a training that is resumed sees
    what it would have seen without the interruption.
    """

    def __init__(
        self, examples: Examples, weights: Float64Array, count: int, *, word_dropout: float = 0.0, seed: int = 0
    ) -> None:
        self.examples = examples
        self._weights, self._count = weights, count
        self._word_dropout, self._seed = word_dropout, seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        rng = np.random.default_rng([self._seed, epoch])
        self.rows = draw(self._weights, self._count, rng)
        shape = (self._count, self.examples.longest)
        self._dropped = rng.random(shape, dtype=np.float32) < self._word_dropout if self._word_dropout else None

    @property
    def label(self) -> Ids:
        """The index of each drawn example's label (`count`,)."""
        return self.examples.label[self.rows]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        dropped = None if self._dropped is None else self._dropped[rows]
        return self.examples.with_dropped(self.rows[rows], dropped)


def draw(weights: Float64Array, count: int, rng: np.random.Generator) -> Ids:
    """`count` rows, each as often as its share of the `weights` (N,) says, rounded up or down by chance; in order."""
    total = np.cumsum(weights)
    at = (np.arange(count) + rng.random()) * (total[-1] / count)
    rows: Ids = np.minimum(np.searchsorted(total, at, side="right"), len(weights) - 1)
    return rows
