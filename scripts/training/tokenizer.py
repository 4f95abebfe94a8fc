"""A SentencePiece vocabulary trained on a model's own prompts, as a tokenizer of transformers. Knows no data."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import sentencepiece
from transformers import T5Tokenizer

SUBWORDS = 200  # pieces of a vocabulary whose words can't be listed
SPECIAL = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}  # T5's own places


def train_tokenizer(prompts: Iterable[str], words: Sequence[str], labels: Sequence[str]) -> Any:
    """A T5Tokenizer for `prompts` and `labels`.

    With `words`, the whole of a style's vocabulary, each word and each label is one piece; without, prompts are parted
    into subwords (unigram, Kudo 2018).
    """
    # Every word at least once, also one that no training window happens to show.
    lines = [" ".join(words)] if words else []
    lines += [*prompts, *(label for label in labels for _ in range(50))]
    model = io.BytesIO()
    size: dict[str, Any] = (
        {"model_type": "word", "vocab_size": len({*words, *(w for label in labels for w in label.split())}) + 3}
        if words
        else {"model_type": "unigram", "vocab_size": SUBWORDS, "hard_vocab_limit": False}
    )
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        normalization_rule_name="identity",
        character_coverage=1.0,
        max_sentencepiece_length=64,
        max_sentence_length=1_000_000,
        minloglevel=2,
        **SPECIAL,
        **size,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocabulary = [(pieces.id_to_piece(i), float(pieces.get_score(i))) for i in range(len(pieces))]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0)
