"""Features (B, F) → prompt text, by a versioned style. Knows no window, no tokenizer and no model.

There are two styles. `compact` writes each feature as one readable word, its name and its level: `y.std:07`, or
`tilt.cos:?` where it is not known; before them stand the words of context that the bundle knows, such as `place:wrist`.
`seed` writes the text of the notebook that this project began with: mean and deviation of each axis in decimals. The
features that a new bundle writes are COMPACT_FEATURES in scripts/training/recipe.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from hard.records import Float32Array
from hard.units import PLACES

UNKNOWN_WORD = "any"
CONTEXT = {"place": PLACES}  # the words of each kind; one is UNKNOWN_WORD
VERSIONS = {"seed": 1, "compact": 2}
SEED_FEATURES = ("x.mean", "x.std", "y.mean", "y.std", "z.mean", "z.std")
AXIS_TEXT = "{}-axis mean {{:.2f}} std {{:.2f}}"
SEED_TEXT = "classify activity: " + ", ".join(AXIS_TEXT.format(axis) for axis in "xyz")


class PromptSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a bundle writes prompts. `edges` (F lists, rising) divide each feature's range into levels; empty for
    `seed`. `context` are the kinds of CONTEXT whose word a prompt begins with."""

    style: str
    version: int
    features: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...] = ()
    context: tuple[str, ...] = ()


Words = NDArray[np.int64]


class PromptStyle(Protocol):
    """What every style offers."""

    def render(self, features: Float32Array, context: Words | None = None) -> list[str]:
        """One prompt for each row of `features` (B, F) and `context` (B, C), the index of each kind's word; by default
        the unknown ones."""
        ...


class SeedPrompt:
    """`classify activity: x-axis mean -1.15 std 4.20, y-axis mean …`"""

    def render(self, features: Float32Array, context: Words | None = None) -> list[str]:
        return [SEED_TEXT.format(*row) for row in features.tolist()]


class CompactPrompt:
    """A word for each kind of `context`, then one a feature, `name:level`, levels from 00, or `name:?` for NaN; the
    word count is fixed, so a whole batch has one length. `vocabulary` lists the words of each feature,
    `context_vocabulary` those of each kind.

    `expected_shares` (L,) is each level's share of all words where the levels of a feature are equally frequent: they
    are on the windows whose quantiles are the edges.
    """

    def __init__(self, names: Sequence[str], edges: Sequence[Sequence[float]], context: Sequence[str] = ()) -> None:
        counts = [len(e) + 1 for e in edges]
        self._edges = np.full((len(edges), max(counts) - 1), np.inf, dtype=np.float32)  # rows of fewer end in infinity
        for row, own in zip(self._edges, edges, strict=True):
            row[: len(own)] = own
        of_feature = [[1 / count] * count + [0.0] * (max(counts) - count) for count in counts]
        self.expected_shares = tuple(sum(shares) / len(counts) for shares in zip(*of_feature, strict=True))
        self.vocabulary = [
            [*(f"{name}:{level:02d}" for level in range(count)), f"{name}:?"]
            for name, count in zip(names, counts, strict=True)
        ]
        self._unknown_level = np.array(counts)
        self.context_vocabulary = [[f"{kind}:{word}" for word in CONTEXT[kind]] for kind in context]
        self._unknown: Words = np.array([CONTEXT[kind].index(UNKNOWN_WORD) for kind in context], dtype=np.int64)

    @property
    def every_word(self) -> list[list[str]]:
        """The words (C + F lists) that can stand at each place of a prompt."""
        return [*self.context_vocabulary, *self.vocabulary]

    def levels(self, features: Float32Array) -> Words:
        """Levels (B, F): how many edges lie at or below each feature; for NaN one more than the feature's last."""
        levels = np.add.reduce(features[:, :, None] >= self._edges, axis=2, dtype=np.int64)
        return np.where(np.isnan(features), self._unknown_level, levels)

    def words(self, levels: Words, context: Words | None = None) -> Words:
        """The index of each word (B, C + F): those of `context` (B, C), by default the unknown ones, then `levels`."""
        if context is None:
            context = np.tile(self._unknown, (len(levels), 1))
        return np.concatenate((context, levels), axis=1)

    def render(self, features: Float32Array, context: Words | None = None) -> list[str]:
        return self.write(self.words(self.levels(features), context))

    def write(self, words: Words) -> list[str]:
        """One prompt for each row of `words` (B, C + F)."""
        every = self.every_word
        return [" ".join(of[word] for of, word in zip(every, row, strict=True)) for row in words.tolist()]


def prompt_style(spec: PromptSpec) -> SeedPrompt | CompactPrompt:
    """The style that `spec` names. Raises ValueError when this version of HARD can't write it."""
    if spec.version != VERSIONS.get(spec.style):
        raise ValueError(f"prompt style {spec.style!r} version {spec.version} is unknown to this version of HARD")
    if unknown := set(spec.context) - set(CONTEXT if spec.style == "compact" else ()):
        raise ValueError(f"prompt style {spec.style!r} has no context {min(unknown)!r}")
    if spec.style == "seed":
        if spec.features != SEED_FEATURES:
            raise ValueError("prompt style 'seed' is written from the mean and deviation of x, y and z, in this order")
        return SeedPrompt()
    if len(spec.edges) != len(spec.features):
        raise ValueError(f"prompt style 'compact' has {len(spec.features)} features but edges for {len(spec.edges)}")
    for name, edges in zip(spec.features, spec.edges, strict=True):
        if not 1 <= len(edges) <= 99 or not all(a < b for a, b in pairwise(edges)):
            raise ValueError(f"the edges of feature {name!r} must be 1 to 99 rising numbers")
    return CompactPrompt(spec.features, spec.edges, spec.context)


def context_of(kinds: Sequence[str], places: Sequence[str | None]) -> Words:
    """The index of each kind's word (B, C) for windows of devices worn at `places`, of PLACES or not known."""
    found: dict[str, Sequence[str | None]] = {"place": places}
    columns = [[CONTEXT[kind].index(word or UNKNOWN_WORD) for word in found[kind]] for kind in kinds]
    return np.array(columns, dtype=np.int64).reshape(len(kinds), len(places)).T


def quantile_edges(features: Float32Array, levels: int) -> tuple[tuple[float, ...], ...]:
    """Edges that divide each column of `features` (N, F), NaN left out, into at most `levels` equally frequent levels;
    equal edges are merged. A column without any value has one edge, at 0."""
    at = np.arange(1, levels) / levels
    edges = []
    for column in features.T:
        known = column[~np.isnan(column)]
        rising = np.unique(np.quantile(known if len(known) else np.zeros(1), at).astype(np.float32))
        edges.append(tuple(float(e) for e in rising))
    return tuple(edges)
