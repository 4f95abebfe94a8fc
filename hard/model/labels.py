"""The label set as a prefix tree of tokens: where the decoder must be run, and which tokens can follow; and what a
scorer gives for it.

Knows no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hard.records import Float32Array


class Scores(NamedTuple):
    """Log probabilities (B, K) of the labels, and the mean of the encoder's output over a prompt's tokens (B, D); None
    by a graph that was written without it."""

    labels: Float32Array
    pooled: Float32Array | None


@dataclass(frozen=True, slots=True)
class Branch:
    """A node of the tree where labels differ: the tokens that lead there, and the tokens that can follow."""

    prefix: tuple[int, ...]
    following: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LabelTree:
    """`branches`, and for each label its path: (index of a branch, index of the token that follows there), in order."""

    branches: tuple[Branch, ...]
    paths: tuple[tuple[tuple[int, int], ...], ...]


def label_tree(tokens: Sequence[Sequence[int]], labels: Sequence[str]) -> LabelTree:
    """The tree of the labels' token ids, each closed by the end token. One branch when all first tokens differ.

    The log probability of a label is the sum, over its path, of the log softmax at each branch over the tokens that can
    follow. Raises ValueError when two labels have the same tokens, or one's tokens begin another's.
    """
    if len(labels) < 2:
        raise ValueError("a label set needs at least two labels")
    sequences = [tuple(sequence) for sequence in tokens]
    for i, first in enumerate(sequences):
        for j, second in enumerate(sequences):
            if i != j and second[: len(first)] == first:
                pair = f"{labels[i]!r} and {labels[j]!r}"
                raise ValueError(f"the labels {pair} clash: their tokens {first} and {second} can't be told apart")
    followers: dict[tuple[int, ...], list[int]] = {}
    for sequence in sequences:
        for at, token in enumerate(sequence):
            following = followers.setdefault(sequence[:at], [])
            if token not in following:
                following.append(token)
    branches = tuple(Branch(prefix, tuple(following)) for prefix, following in followers.items() if len(following) > 1)
    index = {branch.prefix: i for i, branch in enumerate(branches)}
    paths = tuple(
        tuple(
            (index[sequence[:at]], branches[index[sequence[:at]]].following.index(token))
            for at, token in enumerate(sequence)
            if sequence[:at] in index
        )
        for sequence in sequences
    )
    return LabelTree(branches, paths)
