"""Token ids word by word: equal to the tokenizer over the whole prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import hard.model.tokens
from hard.model.tokens import PAD_ID, WordTokenizer

WORDS = ["y.std:00", "y.std:01", "tilt.cos:00", "tilt.cos:01", "Walking", "Sitting", "Up", "stairs", "mean", "std"]
PIECES = [
    "<pad>",
    "</s>",
    "<unk>",
    *("▁" + word for word in WORDS),
    "stairs",
    *"▁abcdefghijklmnopqrstuvwxyz.,:-0123456789",
]
PROMPTS = st.lists(
    st.one_of(st.sampled_from(WORDS), st.text("abcdefghijklmnopqrstuvwxyz0123456789.,:-éß€", min_size=1, max_size=12)),
    max_size=12,
).map(" ".join)


@pytest.fixture(params=["tokenizers", "transformers"])
def tokenizer_json(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A `tokenizer.json`, built by hand and as transformers saves it."""
    vocabulary = [(piece, -float(i)) for i, piece in enumerate(PIECES)]
    if request.param == "transformers":
        transformers = pytest.importorskip("transformers", reason="transformers is not installed")
        transformers.T5Tokenizer(vocab=vocabulary, extra_ids=0).save_pretrained(tmp_path)
        return tmp_path / "tokenizer.json"
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PROMPTS, min_size=1, max_size=4))
def test_ids_equal_the_tokenizers_over_the_whole_prompt(tokenizer_json: Path, prompts: list[str]) -> None:
    ids, mask = WordTokenizer(str(tokenizer_json)).batch(prompts)
    whole = Tokenizer.from_file(str(tokenizer_json))
    for prompt, row, real in zip(prompts, ids, mask, strict=True):
        expected = whole.encode(prompt).ids
        assert row[real == 1].tolist() == expected
        assert (row[len(expected) :] == PAD_ID).all()
        assert real.tolist() == [1] * len(expected) + [0] * (len(row) - len(expected))


def test_runs_of_white_space_count_once(tokenizer_json: Path) -> None:
    tokenizer = WordTokenizer(str(tokenizer_json))
    tokenizer.check(" mean   1.5\tstd\n2 ")
    ids, _ = tokenizer.batch([" mean   1.5\tstd\n2 ", "mean 1.5 std 2"])
    assert ids[0].tolist() == ids[1].tolist()


def test_an_empty_prompt_is_the_end_token_and_no_prompts_are_no_rows(tokenizer_json: Path) -> None:
    tokenizer = WordTokenizer(str(tokenizer_json))
    assert tokenizer.batch([""])[0].tolist() == [tokenizer.end] == [[1]]
    assert tokenizer.batch([])[0].shape == (0, 0)


def test_padding_and_truncation_saved_in_the_file_are_not_used(tokenizer_json: Path) -> None:
    saved = Tokenizer.from_file(str(tokenizer_json))
    saved.enable_padding(length=64)
    saved.enable_truncation(3)
    saved.save(str(tokenizer_json))
    assert len(WordTokenizer(str(tokenizer_json)).encode("Walking Sitting mean std mean std")) == 7


def test_a_table_stands_where_each_word_is_one_token(tokenizer_json: Path) -> None:
    tokenizer = WordTokenizer(str(tokenizer_json))
    table = tokenizer.table([["y.std:00", "y.std:01"], ["mean"]])
    assert table is not None
    assert table.tolist() == [[PIECES.index("▁y.std:00"), PIECES.index("▁y.std:01")], [PIECES.index("▁mean"), PAD_ID]]
    assert tokenizer.table([["y.std:00", "y.std:77"]]) is None


def test_the_memo_is_bounded(tokenizer_json: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard.model.tokens, "MAX_WORDS", 5)
    tokenizer = WordTokenizer(str(tokenizer_json))
    prompt = " ".join(str(i) for i in range(50))
    assert tokenizer.batch([prompt])[0][0].tolist() == tokenizer.encode(prompt)
    assert len(tokenizer._words) <= 5


def test_a_tokenizer_that_joins_words_is_refused(tmp_path: Path) -> None:
    joining = Tokenizer(models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁a▁b", -1.0)], unk_id=2))
    joining.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    joining.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    joining.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="not a T5 tokenizer"):
        WordTokenizer(str(tmp_path / "tokenizer.json")).check("a b")


def test_ids_are_what_onnx_and_torch_take(tokenizer_json: Path) -> None:
    ids, mask = WordTokenizer(str(tokenizer_json)).batch(["mean std"])
    assert ids.dtype == mask.dtype == np.int64
