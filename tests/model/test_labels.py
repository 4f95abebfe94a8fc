"""The label tree: clashes refused, branches only where labels differ, probabilities that sum to one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hard.model.labels import Branch, LabelTree, label_tree

END = 1


def probabilities(tree: LabelTree, seed: int = 0) -> list[float]:
    """The probability of each label, with random logits at each branch."""
    rng = np.random.default_rng(seed)
    steps = []
    for branch in tree.branches:
        logits = rng.normal(0, 3, len(branch.following))
        steps.append(logits - np.log(np.exp(logits).sum()))
    return [float(np.exp(sum(steps[b][t] for b, t in way))) for way in tree.paths]


def test_labels_whose_first_tokens_differ_have_one_branch() -> None:
    tree = label_tree([[5, END], [6, 7, END], [8, END]], ["a", "b", "c"])
    assert tree.branches == (Branch((), (5, 6, 8)),)
    assert tree.paths == (((0, 0),), ((0, 1),), ((0, 2),))


def test_labels_with_a_common_prefix_branch_where_they_differ() -> None:
    tree = label_tree([[5, 6, END], [5, 7, END], [8, END]], ["walking up", "walking down", "sitting"])
    assert tree.branches == (Branch((), (5, 8)), Branch((5,), (6, 7)))
    assert tree.paths == (((0, 0), (1, 0)), ((0, 0), (1, 1)), ((0, 1),))
    assert sum(probabilities(tree)) == pytest.approx(1)


def test_a_prefix_common_to_all_labels_has_no_branch() -> None:
    tree = label_tree([[5, 6, 7, END], [5, 6, 8, END]], ["a", "b"])
    assert tree.branches == (Branch((5, 6), (7, 8)),)


def test_a_label_that_continues_another_branches_at_the_end_token() -> None:
    tree = label_tree([[5, END], [5, 6, END]], ["walk", "walking"])
    assert tree.branches == (Branch((5,), (END, 6)),)


@given(st.sets(st.lists(st.integers(2, 5), min_size=1, max_size=5).map(tuple), min_size=2, max_size=12))
def test_probabilities_sum_to_one_for_any_label_set(words: set[tuple[int, ...]]) -> None:
    sequences = [[*word, END] for word in words]
    tree = label_tree(sequences, [str(s) for s in sequences])
    assert sum(probabilities(tree)) == pytest.approx(1)
    assert len(set(tree.paths)) == len(sequences)
    assert all(len(branch.following) > 1 for branch in tree.branches)


@pytest.mark.parametrize("tokens", [[[5, END], [5, END]], [[5, 6], [5, 6, END]], [[5, END, 3], [5, END]], [[], [5]]])
def test_labels_that_cannot_be_told_apart_are_refused_by_name(tokens: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"'(Walk|Run)' and '(Walk|Run)' clash"):
        label_tree(tokens, ["Walk", "Run"])


def test_one_label_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        label_tree([[5, END]], ["Walk"])
