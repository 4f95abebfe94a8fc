"""Vocabularies trained on a model's own prompts."""

from pathlib import Path

import numpy as np
import pytest
from training.data.examples import UNKNOWN_ID
from training.model.tokenizer import sentencepiece_model, train_tokenizer

from hard.model.encoder import Encoder
from hard.model.prompts import SEED_FEATURES, PromptSpec
from hard.model.tokens import PAD_ID, WordTokenizer

LABELS = ("Walking", "Jogging", "Climbing Stairs")
NAMES = ("v.std", "tilt.cos", "m.e1")
SPEC = PromptSpec("compact", 2, NAMES, tuple(tuple(float(e) for e in range(15)) for _ in NAMES))
WORDS = [f"{name}:{level:02d}" for name in NAMES for level in range(16)]


def saved(tokenizer: object, folder: Path) -> WordTokenizer:
    (folder / "spiece.model").write_bytes(sentencepiece_model(tokenizer))
    return WordTokenizer(str(folder / "spiece.model"))


def test_every_word_of_a_compact_style_is_one_token(tmp_path: Path) -> None:
    # The prompts show few of the words; the rest must be there all the same.
    tokenizer = train_tokenizer(["v.std:00 tilt.cos:03 m.e1:07"] * 5, WORDS, LABELS)
    words = saved(tokenizer, tmp_path)
    encoder = Encoder(words, SPEC)
    assert encoder.length == len(NAMES) + 1
    features = np.random.default_rng(0).uniform(-2, 17, (50, 3)).astype(np.float32)
    ids, mask = encoder.tokens(features)
    assert mask.all()
    assert ids.tolist() == [words.encode(prompt) for prompt in encoder.render(features)]
    assert ids.tolist() == tokenizer(encoder.render(features))["input_ids"]
    assert UNKNOWN_ID not in ids
    assert len({tuple(words.encode(word)) for word in WORDS}) == len(WORDS)


def test_labels_come_back_as_they_went_in(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["v.std:00"] * 5, WORDS, LABELS)
    for label in LABELS:
        assert tokenizer.decode(tokenizer(label)["input_ids"], skip_special_tokens=True) == label


def test_special_pieces_stand_where_t5_has_them() -> None:
    tokenizer = train_tokenizer(["v.std:00"] * 5, WORDS, LABELS)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (PAD_ID, 1, UNKNOWN_ID)


@pytest.mark.parametrize("value", [-123.45, 0.0, 78.9])
def test_a_seed_prompt_in_subwords_loses_nothing(tmp_path: Path, value: float) -> None:
    from hard.model.prompts import SEED_TEXT

    rng = np.random.default_rng(1)
    prompts = [SEED_TEXT.format(*row) for row in rng.normal(0, 20, (300, 6))]
    tokenizer = train_tokenizer(prompts, (), LABELS)
    encoder = Encoder(saved(tokenizer, tmp_path), PromptSpec("seed", 1, SEED_FEATURES))
    assert encoder.length is None
    prompt = encoder.render(np.full((1, 6), value, np.float32))[0]
    ids, _ = encoder.tokens(np.full((1, 6), value, np.float32))
    assert ids.tolist() == tokenizer([prompt])["input_ids"]
    assert tokenizer.decode(ids[0], skip_special_tokens=True) == prompt
