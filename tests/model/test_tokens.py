"""Token ids word by word: equal to the tokenizer over the whole prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from support.sentencepiece_models import save_pieces

from hard.model.tokens import PAD_ID, WordTokenizer

WORDS = ["y.std:00", "y.std:01", "tilt.cos:00", "tilt.cos:01", "Walking", "Sitting", "Up", "stairs", "mean", "std"]
CHARACTERS = "abcdefghijklmnopqrstuvwxyz.,:-0123456789"
PROMPTS = st.lists(
    st.one_of(st.sampled_from(WORDS), st.text("abcdefghijklmnopqrstuvwxyz0123456789.,:-éß€", min_size=1, max_size=12)),
    max_size=12,
).map(" ".join)


@pytest.fixture(scope="module", params=["words", "subwords"])
def spiece(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `spiece.model` that knows WORDS alone, so that others are wholly unknown; and one that splits any word."""
    path = tmp_path_factory.mktemp("pieces") / "spiece.model"
    lines = [" ".join(WORDS)] * 200
    if request.param == "words":
        return save_pieces(path, lines, model_type="word", vocab_size=len(WORDS) + 3)
    # The trainer only considers pieces that begin several words.
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


def test_each_of_several_unknown_words_is_one_unknown_piece(tmp_path: Path) -> None:
    path = save_pieces(tmp_path / "spiece.model", [" ".join(WORDS)] * 50, model_type="word", vocab_size=len(WORDS) + 3)
    tokenizer = WordTokenizer(str(path))
    assert tokenizer.encode("no such words mean it") == [2, 2, 2, *tokenizer.encode("mean")[:1], 2, 1]


def test_several_spaces_count_as_one(spiece: Path) -> None:
    tokenizer = WordTokenizer(str(spiece))
    tokenizer.check(" mean   1.5\tstd\n2 ")
    ids, _ = tokenizer.batch([" mean   1.5\tstd\n2 ", "mean 1.5 std 2"])
    assert ids[0].tolist() == ids[1].tolist()


def test_an_empty_prompt_is_the_end_token_and_no_prompts_are_no_rows(spiece: Path) -> None:
    tokenizer = WordTokenizer(str(spiece))
    assert tokenizer.batch([""])[0].tolist() == [tokenizer.end] == [[1]]
    assert tokenizer.batch([])[0].shape == (0, 0)


def test_there_is_a_table_where_each_word_is_one_token(spiece: Path) -> None:
    tokenizer, pieces = WordTokenizer(str(spiece)), SentencePieceProcessor(model_file=str(spiece))
    table = tokenizer.table([["y.std:00", "y.std:01"], ["mean"]])
    assert table is not None
    expected = [pieces.piece_to_id(f"▁{word}") for word in ("y.std:00", "y.std:01", "mean")]
    assert table.tolist() == [expected[:2], [expected[2], PAD_ID]]
    assert 2 not in expected


@pytest.mark.parametrize("spiece", ["subwords"], indirect=True)
def test_there_is_no_table_where_a_word_is_several_tokens(spiece: Path) -> None:
    assert WordTokenizer(str(spiece)).table([["y.std:00", "y.std:77"]]) is None


def test_the_memo_is_bounded(spiece: Path) -> None:
    tokenizer = WordTokenizer(str(spiece), max_words=5)
    prompt = " ".join(str(i) for i in range(50))
    first = tokenizer.batch([prompt])[0][0].tolist()
    assert 0 < tokenizer.memoised_words <= 5
    unbounded = WordTokenizer(str(spiece))
    assert first == unbounded.encode(prompt)
    assert unbounded.memoised_words == 50


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
def test_a_file_that_is_not_a_sentencepiece_model_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "spiece.model").write_bytes(content)
    with pytest.raises(ValueError, match=r"spiece\.model is not a SentencePiece model") as refusal:
        WordTokenizer(str(tmp_path / "spiece.model"))
    assert "\n" not in str(refusal.value)


def test_ids_have_the_type_that_onnx_and_torch_need(spiece: Path) -> None:
    ids, mask = WordTokenizer(str(spiece)).batch(["mean std"])
    assert ids.dtype == mask.dtype == np.int64
