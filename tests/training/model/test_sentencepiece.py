"""The SentencePiece file that serving reads: the same ids as the tokenizer of transformers it was made from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2 as spm
from training.errors import RefusedError
from training.model.tokenizer import check_ids, sentencepiece_model, train_tokenizer
from transformers import AutoTokenizer, T5Tokenizer

from hard.model.prompts import SEED_TEXT
from hard.model.tokens import WordTokenizer

LABELS = ("Walking", "Jogging", "Climbing Stairs")
WORDS = [f"{name}:{level:02d}" for name in ("v.std", "tilt.cos") for level in range(16)]
# What compatibility normalization changes: ligature, full width, superscript, composed and combining, invisible.
ODD = "ﬁＷ²éé½\u200bß€…Ω①"
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*WORDS, *LABELS, "classify", "activity:", "x-axis", "-1.25"]),
        st.text("abcdefxyzstWS0123456789.,:-" + ODD, min_size=1, max_size=10),
    ),
    max_size=10,
).map(" ".join)


def seed_prompts(rows: int) -> list[str]:
    return [SEED_TEXT.format(*row) for row in np.random.default_rng(2).normal(0, 8, (rows, 6))]


def flan_like() -> Any:
    """A tokenizer of FLAN-T5's kind: subwords, 100 sentinels at the end, and the character map `nmt_nfkc`."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*seed_prompts(300), *LABELS * 50, "abcdefghijklmnopqrstuvwxyz éß" * 3]),
        model_writer=model,
        normalization_rule_name="nmt_nfkc",
        vocab_size=150,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    trained = spm.ModelProto.FromString(model.getvalue())
    vocabulary = [(piece.piece, piece.score) for piece in trained.pieces]
    vocabulary += [(f"<extra_id_{i}>", 0.0) for i in reversed(range(100))]
    return T5Tokenizer(vocab=vocabulary, _spm_precompiled_charsmap=trained.normalizer_spec.precompiled_charsmap)


KINDS = {
    "words": lambda: train_tokenizer(["v.std:00 tilt.cos:03"] * 5, WORDS, LABELS),
    "subwords": lambda: train_tokenizer(seed_prompts(300), (), LABELS),
    "flan": flan_like,
}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]()


def served(tokenizer: Any, folder: Path) -> WordTokenizer:
    (folder / "spiece.model").write_bytes(sentencepiece_model(tokenizer))
    return WordTokenizer(str(folder / "spiece.model"))


@pytest.fixture(scope="module")
def words(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> WordTokenizer:
    return served(tokenizer, tmp_path_factory.mktemp("pieces"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_ids_are_those_of_transformers(tokenizer: Any, words: WordTokenizer, text: str) -> None:
    expected, found = tokenizer(text)["input_ids"], words.encode(text)
    assert words.batch([text])[0][0].tolist() == found
    if found != expected:  # `1 11` and `11 1` score the same: single and double precision may part 111 either way
        assert sorted(found) == sorted(expected)
        assert tokenizer.decode(found) == tokenizer.decode(expected)


def test_ids_of_many_prompts_of_both_styles_are_those_of_transformers(tokenizer: Any, words: WordTokenizer) -> None:
    drawn = np.random.default_rng(5).choice(WORDS, (500, 20))
    check_ids(words, tokenizer, [*seed_prompts(2000), *(" ".join(row) for row in drawn), *LABELS])


def test_a_character_map_is_kept(tmp_path: Path) -> None:
    tokenizer = flan_like()
    words = served(tokenizer, tmp_path)
    assert words.encode("Ｗalking ﬁve") == words.encode("Walking five") == tokenizer("Ｗalking ﬁve")["input_ids"]
    assert spm.ModelProto.FromString(sentencepiece_model(tokenizer)).normalizer_spec.precompiled_charsmap


def test_pieces_that_no_text_holds_are_marked_so() -> None:
    model = spm.ModelProto.FromString(sentencepiece_model(flan_like()))
    kinds = {piece.piece: piece.type for piece in model.pieces}
    control = {name for name, kind in kinds.items() if kind == spm.ModelProto.SentencePiece.CONTROL}
    assert control == {"<pad>", "</s>", *(f"<extra_id_{i}>" for i in range(100))}
    assert [name for name, kind in kinds.items() if kind == spm.ModelProto.SentencePiece.UNKNOWN] == ["<unk>"]


def test_padding_and_truncation_of_the_tokenizer_are_not_kept(tmp_path: Path) -> None:
    tokenizer = KINDS["words"]()
    tokenizer.backend_tokenizer.enable_padding(length=64)
    tokenizer.backend_tokenizer.enable_truncation(3)
    assert len(served(tokenizer, tmp_path).encode("Walking Jogging v.std:00 v.std:01 Walking")) == 6


def test_a_folder_that_holds_both_files_loads_as_before(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    words = served(tokenizer, tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is type(tokenizer)
    assert again.get_vocab() == tokenizer.get_vocab()
    check_ids(words, again, [*seed_prompts(50), " ".join(WORDS), *LABELS])
    assert sentencepiece_model(again) == sentencepiece_model(tokenizer)


def test_a_tokenizer_that_reads_otherwise_is_refused_in_one_sentence(tmp_path: Path) -> None:
    from tokenizers import normalizers

    tokenizer = KINDS["subwords"]()
    words = served(tokenizer, tmp_path)
    check_ids(words, tokenizer, LABELS)
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(RefusedError, match="SentencePiece reads 'Walking' otherwise") as refusal:
        check_ids(words, tokenizer, LABELS)
    assert "\n" not in str(refusal.value)


def test_a_tokenizer_of_another_kind_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

    bpe = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    for other in (ByT5Tokenizer(), bpe):
        with pytest.raises(RefusedError, match="no unigram vocabulary"):
            sentencepiece_model(other)
