"""Checkpoints of FLAN-T5's architecture with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def save_flan(folder: Path, spoil: Spoil) -> None:
    import torch
    from training.model.tokenizer import train_tokenizer
    from transformers import T5Config, T5ForConditionalGeneration

    from hard.model.prompts import SEED_TEXT

    rng = np.random.default_rng(3)
    prompts = [SEED_TEXT.format(*row) for row in rng.normal(0, 6, (300, 6))]
    tokenizer = train_tokenizer(prompts, (), ("Walking", "Jogging", "Sitting"))
    config = T5Config(
        vocab_size=len(tokenizer) + 5,  # as hub checkpoints have rows to spare
        d_model=32,
        d_kv=8,
        num_heads=3,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=2,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        tie_word_embeddings=False,  # how hub checkpoints say "don't scale the decoder's output"
    )
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(config)
    spoil(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


Spoil = Callable[[Any], None]
