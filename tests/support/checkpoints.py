"""Checkpoints of FLAN-T5's architecture with random weights, where none can be fetched: they have learnt nothing."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Change = Callable[[Any], None]
TINY = {"vocabulary": 200, "d_model": 32, "d_kv": 8, "num_heads": 3, "d_ff": 48, "num_layers": 2}


def save_random_checkpoint(folder: Path, change: Change = lambda model: None, **sizes: int) -> None:
    """Saves model and tokenizer to `folder`; `sizes` differ from TINY, `change(model)` may spoil the weights first."""
    import torch
    from training.data.loading import LABEL_ORDER
    from training.model.tokenizer import train_tokenizer
    from transformers import T5Config, T5ForConditionalGeneration

    from hard.model.prompts import SEED_TEXT

    shape = TINY | sizes
    subwords = shape.pop("vocabulary")
    prompts = [SEED_TEXT.format(*row) for row in np.random.default_rng(0).normal(0, 6, (2000, 6))]
    tokenizer = train_tokenizer([*prompts, " ".join(string.printable)], (), LABEL_ORDER, subwords=subwords)
    config = T5Config(
        vocab_size=max(subwords, len(tokenizer)) + 5,  # hub checkpoints have more rows than pieces
        num_decoder_layers=shape["num_layers"],
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        tie_word_embeddings=False,  # as FLAN-T5 has it: the decoder's output is not scaled
        **shape,
    )
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():  # transformers draws an untied head as large as the embedding: a first loss of 30 and more
        model.lm_head.weight *= config.d_model**-0.5
    change(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
