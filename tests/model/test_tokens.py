"""Token ids word by word: equal to the tokenizer over the whole prompt."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

import hard.model.tokens
from hard.model.tokens import PAD_ID, WordTokenizer

WORDS = ["y.std:00", "y.std:01", "tilt.cos:00", "tilt.cos:01", "Walking", "Sitting", "Up", "stairs", "mean", "std"]
CHARACTERS = "abcdefghijklmnopqrstuvwxyz.,:-0123456789"
PROMPTS = st.lists(
    st.one_of(st.sampled_from(WORDS), st.text("abcdefghijklmnopqrstuvwxyz0123456789.,:-éß€", min_size=1, max_size=12)),
    max_size=12,
).map(" ".join)


def save_pieces(path: Path, lines: list[str], **options: Any) -> Path:
    """Trains a SentencePiece model with T5's places on `lines` and saves it."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        normalization_rule_name="identity",
        character_coverage=1.0,
        minloglevel=2,
        **{"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, **options},
    )
    path.write_bytes(model.getvalue())
    return path


@pytest.fixture(scope="module", params=["words", "subwords"])
def spiece(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `spiece.model` that knows WORDS alone, so that others are wholly unknown; and one that parts any word."""
    path = tmp_path_factory.mktemp("pieces") / "spiece.model"
    lines = [" ".join(WORDS)] * 200
    if request.param == "words":
        return save_pieces(path, lines, model_type="word", vocab_size=len(WORDS) + 3)
    # A piece must begin several words to be thought of.
    lines += [*(word + end for word in WORDS for end in "xyz"), *CHARACTERS, " ".join(CHARACTERS)]
    return save_pieces(path, lines, vocab_size=80, split_by_unicode_script=False, split_by_number=False)


@pytest.fixture(scope="module", params=["tokenizers", "transformers"])
def reference(request: pytest.FixtureRequest, spiece: Path) -> Any:
    """The same vocabulary as a tokenizer of the tokenizers library, built by hand and as transformers builds T5's."""
    package = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    pieces = SentencePieceProcessor(model_file=str(spiece))
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(len(pieces))]
    if request.param == "transformers":
        return package.T5Tokenizer(vocab=vocabulary, extra_ids=0).backend_tokenizer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PROMPTS, min_size=1, max_size=4))
def test_ids_equal_the_tokenizers_over_the_whole_prompt(spiece: Path, reference: Any, prompts: list[str]) -> None:
    tokenizer = WordTokenizer(str(spiece))
    ids, mask = tokenizer.batch(prompts)
    for prompt, row, real in zip(prompts, ids, mask, strict=True):
        expected = reference.encode(prompt).ids
        assert tokenizer.encode(prompt) == expected
        assert row[real == 1].tolist() == expected
        assert (row[len(expected) :] == PAD_ID).all()
        assert real.tolist() == [1] * len(expected) + [0] * (len(row) - len(expected))


def test_unknown_words_in_a_row_are_one_unknown_piece_each(tmp_path: Path) -> None:
    path = save_pieces(tmp_path / "spiece.model", [" ".join(WORDS)] * 50, model_type="word", vocab_size=len(WORDS) + 3)
    tokenizer = WordTokenizer(str(path))
    assert tokenizer.encode("no such words mean it") == [2, 2, 2, *tokenizer.encode("mean")[:1], 2, 1]


def test_runs_of_white_space_count_once(spiece: Path) -> None:
    tokenizer = WordTokenizer(str(spiece))
    tokenizer.check(" mean   1.5\tstd\n2 ")
    ids, _ = tokenizer.batch([" mean   1.5\tstd\n2 ", "mean 1.5 std 2"])
    assert ids[0].tolist() == ids[1].tolist()


def test_an_empty_prompt_is_the_end_token_and_no_prompts_are_no_rows(spiece: Path) -> None:
    tokenizer = WordTokenizer(str(spiece))
    assert tokenizer.batch([""])[0].tolist() == [tokenizer.end] == [[1]]
    assert tokenizer.batch([])[0].shape == (0, 0)


def test_a_table_stands_where_each_word_is_one_token(spiece: Path) -> None:
    tokenizer, pieces = WordTokenizer(str(spiece)), SentencePieceProcessor(model_file=str(spiece))
    table = tokenizer.table([["y.std:00", "y.std:01"], ["mean"]])
    assert table is not None
    place = [pieces.piece_to_id(f"▁{word}") for word in ("y.std:00", "y.std:01", "mean")]
    assert table.tolist() == [place[:2], [place[2], PAD_ID]]
    assert 2 not in place


@pytest.mark.parametrize("spiece", ["subwords"], indirect=True)
def test_no_table_stands_where_a_word_is_several_tokens(spiece: Path) -> None:
    assert WordTokenizer(str(spiece)).table([["y.std:00", "y.std:77"]]) is None


def test_the_memo_is_bounded(spiece: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard.model.tokens, "MAX_WORDS", 5)
    tokenizer = WordTokenizer(str(spiece))
    prompt = " ".join(str(i) for i in range(50))
    first = tokenizer.batch([prompt])[0][0].tolist()
    assert len(tokenizer._words) <= 5
    monkeypatch.setattr(hard.model.tokens, "MAX_WORDS", 1000)
    assert first == WordTokenizer(str(spiece)).encode(prompt)


def test_a_tokenizer_that_joins_words_is_refused(tmp_path: Path) -> None:
    lines = ["a b"] * 50
    path = save_pieces(tmp_path / "spiece.model", lines, model_type="bpe", split_by_whitespace=False, vocab_size=9)
    assert SentencePieceProcessor(model_file=str(path)).encode("a b", out_type=str) == ["▁a▁b"]
    with pytest.raises(ValueError, match="not a T5 tokenizer"):
        WordTokenizer(str(path)).check("a b")


def test_a_tokenizer_without_end_token_is_refused(tmp_path: Path) -> None:
    path = save_pieces(tmp_path / "spiece.model", ["a b"] * 50, model_type="word", vocab_size=4, eos_id=-1)
    with pytest.raises(ValueError, match=r"spiece\.model has no end token"):
        WordTokenizer(str(path))


@pytest.mark.parametrize("content", [b"", b"{}", b"not a model\n", None], ids=repr)
def test_a_file_that_is_no_sentencepiece_model_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "spiece.model").write_bytes(content)
    with pytest.raises(ValueError, match=r"spiece\.model is not a SentencePiece model") as refusal:
        WordTokenizer(str(tmp_path / "spiece.model"))
    assert "\n" not in str(refusal.value)


def test_ids_are_what_onnx_and_torch_take(spiece: Path) -> None:
    ids, mask = WordTokenizer(str(spiece)).batch(["mean std"])
    assert ids.dtype == mask.dtype == np.int64
