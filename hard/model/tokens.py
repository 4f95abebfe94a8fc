"""Prompt text → token ids (B, L), memoised word by word, equal to the tokenizer over the whole prompt.

A T5 tokenizer splits at white space before anything else, so a prompt's ids are its words' ids in a row and the end
token. transformers does the same. SentencePiece over the whole prompt would join neighbouring unknown words, and where
two segmentations of a word score the same (`1 11` or `11 1`) the rounding of all text before would decide. Knows no
features and no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor

Ids = NDArray[np.int64]
PAD_ID = 0  # <pad> of every T5 vocabulary, and the decoder's start token
MAX_WORDS = 65_536  # memoised; beyond it the memo starts anew


class WordTokenizer:
    """Encodes prompts by the SentencePiece model file at `path`. Raises ValueError where that is not a T5 tokenizer."""

    def __init__(self, path: str, max_words: int = MAX_WORDS) -> None:
        try:
            self._model = SentencePieceProcessor(model_file=path)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{Path(path).name} is not a SentencePiece model: {error}") from error
        if self._model.eos_id() < 0:
            raise ValueError(f"{Path(path).name} has no end token, so it is not a T5 tokenizer")
        self._words: dict[str, list[int]] = {}
        self._max_words = max_words
        self._end = [self._model.eos_id()]

    def encode(self, text: str) -> list[int]:
        """Ids of the whole text with its end token."""
        return [token for word in text.split() for token in self._word(word)] + self._end

    def check(self, prompt: str) -> None:
        """Raises ValueError when this tokenizer can't be memoised word by word."""
        if self._model.encode(" ".join(prompt.split())) + self._end != self.encode(prompt):
            raise ValueError("the tokenizer does not split at white space first, so it is not a T5 tokenizer")

    def batch(self, prompts: Sequence[str]) -> tuple[Ids, Ids]:
        """Ids and attention mask (B, L), padded with PAD_ID to the longest prompt."""
        rows = [self.encode(prompt) for prompt in prompts]
        longest = max(map(len, rows), default=0)
        ids = np.full((len(rows), longest), PAD_ID, dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return ids, mask

    def table(self, vocabulary: Sequence[Sequence[str]]) -> Ids | None:
        """Ids (F, levels) where each word of a fixed vocabulary (F lists) is one token, else None."""
        table = np.full((len(vocabulary), max(map(len, vocabulary))), PAD_ID, dtype=np.int64)
        for i, words in enumerate(vocabulary):
            for level, word in enumerate(words):
                ids = self._word(word)
                if len(ids) != 1:
                    return None
                table[i, level] = ids[0]
        return table

    @property
    def end(self) -> list[int]:
        """The ids at the end of every text."""
        return self._end

    @property
    def memoised_words(self) -> int:
        """How many words are memoised now."""
        return len(self._words)

    def _word(self, word: str) -> list[int]:
        ids = self._words.get(word)
        if ids is None:
            if len(self._words) >= self._max_words:
                self._words.clear()
            ids = self._words[word] = self._model.encode(word)
        return ids
