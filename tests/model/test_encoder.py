"""The encoder: token ids from features, by the table of words or by the tokenizer over the prompts."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
from support.sentencepiece_models import save_pieces

from hard.model import bundle
from hard.model.encoder import Encoder
from hard.model.prompts import SEED_FEATURES, PromptSpec, context_of
from hard.model.tokens import WordTokenizer
from hard.records import Float32Array

BUNDLE = bundle.read(only=())
SPEC = BUNDLE.manifest.prompt


@pytest.fixture
def tokenizer() -> WordTokenizer:
    return WordTokenizer(str(BUNDLE.path / bundle.TOKENIZER))


@pytest.fixture
def character_tokenizer(tmp_path: Path) -> WordTokenizer:
    """Splits every word into characters."""
    characters = string.ascii_lowercase + string.digits + "-.,:"
    lines = [characters, " ".join(characters)] * 20
    path = save_pieces(tmp_path / "spiece.model", lines, model_type="char", vocab_size=len(characters) + 4)
    return WordTokenizer(str(path))


def features(rows: int, columns: int) -> Float32Array:
    return np.random.default_rng(0).normal(0, 3, (rows, columns)).astype(np.float32)


def test_ids_from_the_table_equal_the_tokenizer_over_the_prompts(tokenizer: WordTokenizer) -> None:
    encoder, values = Encoder(tokenizer, SPEC), features(30, len(SPEC.features))
    ids, mask = encoder.tokens(values)
    assert ids.tolist() == [tokenizer.encode(prompt) for prompt in encoder.render(values)]
    assert ids.shape == (30, encoder.length)
    assert mask.all()


def test_words_of_context_are_tokens_and_no_levels(character_tokenizer: WordTokenizer) -> None:
    encoder = Encoder(character_tokenizer, PromptSpec("compact", 2, ("y.std",), ((0.0,),), ("place",)))
    ids, _ = encoder.tokens(np.array([[-1.0]], np.float32), context_of(("place",), ["waist"]))
    assert ids.tolist() == [character_tokenizer.encode("place:waist y.std:00")]
    assert encoder.level_counts.tolist() == [1, 0]


def test_levels_are_counted_where_prompts_are_tokenized_and_not_where_they_are_only_rendered(
    tokenizer: WordTokenizer,
) -> None:
    encoder, values = Encoder(tokenizer, SPEC), features(30, len(SPEC.features))
    encoder.render(values)
    assert encoder.level_counts.sum() == 0
    encoder.tokens(values)
    assert encoder.level_counts.sum() == values.size
    assert len(encoder.level_counts) == len(encoder.expected_shares)


def test_a_style_without_levels_has_prompts_of_any_length_and_no_counts(character_tokenizer: WordTokenizer) -> None:
    encoder, values = Encoder(character_tokenizer, PromptSpec("seed", 1, SEED_FEATURES)), features(5, 6)
    ids, mask = encoder.tokens(values)
    assert encoder.length is None
    assert encoder.expected_shares == ()
    assert encoder.level_counts.tolist() == []
    for row, real, prompt in zip(ids, mask, encoder.render(values), strict=True):
        assert row[real == 1].tolist() == character_tokenizer.encode(prompt)


def test_words_of_several_tokens_are_tokenized_without_a_table(character_tokenizer: WordTokenizer) -> None:
    encoder = Encoder(character_tokenizer, PromptSpec("compact", 2, ("y.std",), ((0.0,),)))
    ids, _ = encoder.tokens(np.array([[-1.0], [1.0]], np.float32))
    assert ids.tolist() == [character_tokenizer.encode("y.std:00"), character_tokenizer.encode("y.std:01")]
    assert encoder.length is None
    assert encoder.level_counts.tolist() == [1, 1]


def test_an_unknown_style_is_refused(tokenizer: WordTokenizer) -> None:
    with pytest.raises(ValueError, match="'haiku' version 1 is unknown"):
        Encoder(tokenizer, PromptSpec("haiku", 1, ("y.std",)))
