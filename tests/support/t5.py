"""Small T5s of every kind, with random weights, and prompts for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import T5Config, T5ForConditionalGeneration

KINDS: dict[str, dict[str, Any]] = {
    "t5": {"feed_forward_proj": "relu"},
    "flan-t5": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "one decoder layer": {"feed_forward_proj": "gated-gelu", "num_decoder_layers": 1},
}


def model_of(kind: str, width: int = 32, size: float = 0.3) -> Any:
    torch.manual_seed(1)
    shape = {
        "d_model": width,
        "d_kv": 8,
        "num_heads": 3,
        "d_ff": 40,
        "num_layers": 2,
        "relative_attention_max_distance": 20,
    }
    model = T5ForConditionalGeneration(T5Config(vocab_size=40, decoder_start_token_id=0, **shape, **KINDS[kind]))
    for parameter in model.parameters():  # norms too: their weights begin as ones and would hide a mistake
        torch.nn.init.normal_(parameter, mean=0.0 if parameter.dim() == 2 else 1.0, std=size * (32 / width) ** 0.5)
    return model.eval()


def prompts(rows: int, length: int) -> NDArray[np.int64]:
    """Token ids (rows, length)."""
    return np.random.default_rng(0).integers(2, 40, (rows, length))
