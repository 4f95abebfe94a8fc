"""The T5 to begin with."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from training.errors import RefusedError
from training.model.initial import graded, pretrained, scratch
from training.model.tokenizer import train_tokenizer


def test_a_base_that_is_no_t5_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=f"--base {tmp_path} is neither a bundle nor a checkpoint"):
        pretrained(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RefusedError, match=f"--base {tmp_path} can't be loaded as a T5: .*tokenizer instance"):
        pretrained(str(tmp_path))


def test_a_checkpoint_is_loaded_in_fp32(tiny_flan: Callable[..., Path]) -> None:
    model, tokenizer = pretrained(str(tiny_flan()))
    assert model.dtype == torch.float32
    assert tokenizer("Walking")["input_ids"][-1] == tokenizer.eos_token_id


def test_neighbouring_levels_begin_alike() -> None:
    torch.manual_seed(0)
    curve = graded(16, 64)
    assert (curve[0] - curve[1]).norm() < (curve[0] - curve[15]).norm()
    words = [f"v.std:{level:02d}" for level in range(8)]
    tokenizer = train_tokenizer(["v.std:00"], words, ("Walking",))
    weight = scratch(tokenizer, [words]).shared.weight
    ids = tokenizer.convert_tokens_to_ids([f"▁{word}" for word in words])
    assert (weight[ids[0]] - weight[ids[1]]).norm() < (weight[ids[0]] - weight[ids[7]]).norm()
