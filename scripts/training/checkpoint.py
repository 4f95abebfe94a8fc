"""The T5 to begin with: a tiny one with random weights, or any checkpoint that transformers loads. Knows no data."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from training.guards import Refusal


def scratch(vocabulary: int, longest: int) -> Any:
    """A T5 of about 0.2 M parameters with random weights, for `vocabulary` pieces and prompts of `longest` tokens."""
    config = T5Config(
        vocab_size=vocabulary,
        d_model=64,
        d_kv=16,
        num_heads=4,
        d_ff=128,
        num_layers=2,
        num_decoder_layers=1,
        feed_forward_proj="gated-gelu",
        relative_attention_max_distance=max(128, longest),
        dropout_rate=0.1,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config)


def pretrained(base: str) -> tuple[Any, Any]:
    """Model in fp32 and tokenizer of a hub id or folder. Raises Refusal when transformers can't load it as a T5."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
        model = T5ForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise Refusal(f"--base {base} can't be loaded as a T5: {first}") from error
    if model.config.decoder_start_token_id is None:
        model.config.decoder_start_token_id = model.config.pad_token_id
    return model, tokenizer
