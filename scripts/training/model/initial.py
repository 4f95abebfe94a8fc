"""The T5 to begin with: a tiny one with random weights, or any checkpoint that transformers loads. Knows no data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from training.errors import RefusedError


def scratch(tokenizer: Any, vocabulary: Sequence[Sequence[str]]) -> Any:
    """A T5 of about 0.2 M parameters with random weights, for the pieces of `tokenizer`.

    `vocabulary` lists a compact style's words by feature, in the order of their levels: neighbours begin alike. The
    last one stands for what is not known, and begins in their middle.
    """
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=64,
        d_kv=16,
        num_heads=4,
        d_ff=128,
        num_layers=2,
        num_decoder_layers=1,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.1,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        for words in vocabulary:
            ids = tokenizer.convert_tokens_to_ids([f"▁{word}" for word in words])
            curve = graded(len(words) - 1, config.d_model)
            model.shared.weight[ids] = torch.cat((curve, curve.mean(dim=0, keepdim=True)))
    return model


def graded(levels: int, width: int) -> torch.Tensor:
    """Random vectors (levels, width) of unit variance along a smooth curve, so that neighbours begin alike.

    Independent vectors would have to learn from the data that level 07 lies between 06 and 08.
    """
    x = torch.linspace(-1, 1, levels)[:, None]
    waves = torch.stack((torch.ones_like(x), x, x * x - 1 / 3, torch.sin(torch.pi * x), torch.cos(2 * torch.pi * x)))
    size = torch.tensor([1.0, 1.2, 1.0, 0.5, 0.3])[:, None, None]
    curve = (size * waves * torch.randn(len(waves), 1, width)).sum(dim=0)
    return (curve + 0.3 * torch.randn(levels, width)) / 1.7


def pretrained(base: str) -> tuple[Any, Any]:
    """Model in fp32 and tokenizer of a hub id or folder. Raises RefusedError when it is no T5."""
    if Path(base).is_dir() and not (Path(base) / "config.json").is_file():
        raise RefusedError(
            f"--base {base} is neither a bundle nor a checkpoint: it holds no hard.json and no config.json"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
        model = T5ForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError) as error:
        cause = shorten(str(error), 300, placeholder=" …")
        raise RefusedError(f"--base {base} can't be loaded as a T5: {cause}") from error
    if model.config.decoder_start_token_id is None:
        model.config.decoder_start_token_id = model.config.pad_token_id
    return model, tokenizer
