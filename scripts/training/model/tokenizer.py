"""A T5's tokenizer: trained on a model's own prompts, and as the SentencePiece file that serving reads. Knows no data.

transformers keeps a T5's vocabulary in a `tokenizer.json` of its own; a gateway has only the sentencepiece package.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as spm
from transformers import T5Tokenizer

from hard.model.tokens import WordTokenizer
from training.errors import RefusedError

SUBWORDS = 200  # pieces of a vocabulary whose words can't be listed
SPECIAL: dict[str, Any] = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}  # T5's own places
SENTINEL = "<extra_id_"  # T5's masks, which no text holds
Piece = spm.ModelProto.SentencePiece


def train_tokenizer(
    prompts: Iterable[str], words: Sequence[str], labels: Sequence[str], subwords: int = SUBWORDS
) -> Any:
    """A T5Tokenizer for `prompts` and `labels`.

    With `words`, the whole of a style's vocabulary, each word and each label is one piece; without, prompts are parted
    into at most so many `subwords` (unigram, Kudo 2018).
    """
    # Every word at least once, also one that no training window happens to show.
    lines = [" ".join(words)] if words else []
    lines += [*prompts, *(label for label in labels for _ in range(50))]
    model = io.BytesIO()
    size: dict[str, Any] = (
        {"model_type": "word", "vocab_size": len({*words, *(w for label in labels for w in label.split())}) + 3}
        if words
        else {"model_type": "unigram", "vocab_size": subwords, "hard_vocab_limit": False}
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


def extended(tokenizer: Any, labels: Sequence[str]) -> Any:
    """`tokenizer` with a piece more for each word of `labels` that it can't write. Raises RefusedError."""
    words = dict.fromkeys(word for label in labels for word in label.split())
    unknown = [word for word in words if tokenizer.unk_token_id in tokenizer(word)["input_ids"]]
    if not unknown:
        return tokenizer
    saved = json.loads(tokenizer.backend_tokenizer.to_str())
    if list(_character_maps(saved["normalizer"])):
        raise RefusedError(f"the base's tokenizer can't write {unknown[0]!r}: rename the label with --labels")
    vocabulary = [(piece, score) for piece, score in saved["model"]["vocab"]]
    least = min(score for _, score in vocabulary)
    return T5Tokenizer(vocab=[*vocabulary, *((f"▁{word}", least) for word in unknown)], extra_ids=0)


def sentencepiece_model(tokenizer: Any) -> bytes:
    """The SentencePiece model with the ids, scores and normalization of `tokenizer`, a fast one of transformers.

    Raises RefusedError when it has no unigram vocabulary (Kudo 2018), as every T5 has.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    saved = json.loads(backend.to_str()) if backend is not None else {"model": {}}
    if saved["model"].get("type") != "Unigram" or saved["model"]["unk_id"] is None:
        raise RefusedError("the tokenizer has no unigram vocabulary of SentencePiece, as every T5 has")
    vocabulary, unknown = saved["model"]["vocab"], saved["model"]["unk_id"]
    special = {token["content"] for token in saved["added_tokens"] if token["special"]}
    special |= set(tokenizer.all_special_tokens)
    model = spm.ModelProto()
    for i, (piece, score) in enumerate(vocabulary):
        kind = Piece.CONTROL if piece in special or piece.startswith(SENTINEL) else Piece.NORMAL
        model.pieces.add(piece=piece, score=score, type=Piece.UNKNOWN if i == unknown else kind)
    _describe(model, tokenizer, unknown, list(_character_maps(saved["normalizer"])))
    return bytes(model.SerializeToString(deterministic=True))


def check_ids(words: WordTokenizer, tokenizer: Any, texts: Sequence[str]) -> None:
    """Raises RefusedError where `words`, which serves, reads one of `texts` otherwise than `tokenizer`."""
    for text, ids in zip(texts, tokenizer(list(texts))["input_ids"], strict=True):
        if words.encode(text) != ids:
            raise RefusedError(f"SentencePiece reads {text!r} otherwise than the tokenizer of transformers does")


def _describe(model: Any, tokenizer: Any, unknown: int, maps: Sequence[bytes]) -> None:
    """What stands around the pieces: T5's special places, its spaces, and the character map where there is one."""
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type, trainer.vocab_size = trainer.UNIGRAM, len(model.pieces)
    trainer.unk_id, trainer.unk_piece = unknown, model.pieces[unknown].piece
    trainer.pad_id, trainer.pad_piece = tokenizer.pad_token_id, tokenizer.pad_token
    trainer.eos_id, trainer.eos_piece = tokenizer.eos_token_id, tokenizer.eos_token
    trainer.bos_id = -1
    normalizer.add_dummy_prefix = normalizer.remove_extra_whitespaces = normalizer.escape_whitespaces = True
    normalizer.name = "precompiled" if maps else "identity"
    normalizer.precompiled_charsmap = b"".join(maps)


def _character_maps(normalizer: Any) -> Iterator[bytes]:
    """The compiled character maps among the steps of a `tokenizer.json`'s normalizer."""
    if not normalizer:
        return
    if normalizer["type"] == "Precompiled" and normalizer["precompiled_charsmap"]:
        yield base64.b64decode(normalizer["precompiled_charsmap"])
    for step in normalizer.get("normalizers", ()):
        yield from _character_maps(step)
