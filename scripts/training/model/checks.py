"""What is refused of tokens before anything is trained: labels that clash, prompts that are too long."""

from __future__ import annotations

from collections.abc import Sequence

from hard.model.labels import LabelTree, label_tree
from training.errors import RefusedError


def check_labels(tokens: Sequence[Sequence[int]], labels: Sequence[str]) -> LabelTree:
    """The tree of the labels. Raises RefusedError when two clash in the tokenizer."""
    try:
        return label_tree(tokens, labels)
    except ValueError as error:
        raise RefusedError(f"{error}; rename one of them") from error


def check_prompt_length(longest: int, limit: int) -> None:
    """Raises RefusedError when the longest prompt, in tokens, is over the limit: its end would be lost unseen."""
    if longest > limit:
        raise RefusedError(
            f"a prompt has {longest} tokens, over the limit of {limit}: name fewer --features or raise --max-tokens"
        )
