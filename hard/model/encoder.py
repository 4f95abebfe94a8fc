"""Features (B, F) and words of context (B, C) → token ids (B, L), by a bundle's prompt style and tokenizer.

Training and serving both use it. Knows no window and no weights.
"""

from __future__ import annotations

import numpy as np

from hard.model.prompts import CompactPrompt, PromptSpec, Words, prompt_style
from hard.model.tokens import Ids, WordTokenizer
from hard.records import Float32Array


class Encoder:
    """One prompt style with one tokenizer. Raises ValueError for an unknown style, and for a tokenizer that can't be
    memoised word by word.

    `length` is the token count of every prompt, the end token included, or None where prompts differ in length.
    `level_counts` (L,) counts how often each level was written, over all features that are known; empty for a style
    without levels.
    """

    def __init__(self, tokenizer: WordTokenizer, spec: PromptSpec) -> None:
        self._tokenizer = tokenizer
        self._style = prompt_style(spec)
        tokenizer.check(self._style.render(np.zeros((1, len(spec.features)), np.float32))[0])
        self._table = tokenizer.table(self._style.every_word) if isinstance(self._style, CompactPrompt) else None
        self.level_counts = np.zeros(len(self.expected_shares), np.int64)
        self.length = None if self._table is None else len(self._table) + len(tokenizer.end)

    @property
    def expected_shares(self) -> tuple[float, ...]:
        """The share of each level (L,) on the windows that the edges were learnt from."""
        return self._style.expected_shares if isinstance(self._style, CompactPrompt) else ()

    def render(self, features: Float32Array, context: Words | None = None) -> list[str]:
        """The prompts of `features` (B, F) and of the indices of words of `context` (B, C), by default unknown ones."""
        return self._style.render(features, context)

    def tokens(self, features: Float32Array, context: Words | None = None) -> tuple[Ids, Ids]:
        """Token ids and mask (B, L) for `features` (B, F) and `context` (B, C): equal to tokenizing the rendered
        prompts."""
        if not isinstance(self._style, CompactPrompt):
            return self._tokenizer.batch(self._style.render(features))
        levels = self._style.levels(features)
        known = levels[~np.isnan(features)]
        self.level_counts += np.bincount(known, minlength=len(self.level_counts))
        words = self._style.words(levels, context)
        if self._table is None:
            return self._tokenizer.batch(self._style.write(words))
        ids = self._table[np.arange(words.shape[1]), words]
        ids = np.concatenate((ids, np.tile(np.asarray(self._tokenizer.end, dtype=np.int64), (len(ids), 1))), axis=1)
        return ids, np.ones_like(ids)
