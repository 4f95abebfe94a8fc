"""SentencePiece models trained on a few lines."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceTrainer


def save_pieces(path: Path, lines: list[str], **options: Any) -> Path:
    """Trains a SentencePiece model with T5's special ids on `lines` and saves it."""
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
