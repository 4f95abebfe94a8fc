"""What makes a fine-tune stop rather than go on to nothing: refusals before it starts, alarms while it runs.

Each says one sentence: the cause and the remedy. Knows no data and no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from hard.model.labels import LabelTree, label_tree


class RefusedError(ValueError):
    """A fine-tune that can't be begun as asked; the message is one sentence."""


class StoppedError(RuntimeError):
    """A fine-tune stopped because what it makes would be worth nothing; the message is one sentence."""


class Guard(TrainerCallback):
    """Raises StoppedError within the step in which a loss or gradient goes wrong. Trainer calls it before each update,
    `GuardedTrainer` hands it each loss."""

    def check_loss(self, loss: torch.Tensor, step: int) -> None:
        """`loss` of one batch, before the update of `step`."""
        value = float(loss.detach())
        if not torch.isfinite(loss.detach()).all():
            raise StoppedError(
                f"the loss is {value} at step {step}: the weights or the inputs overflow; train in fp32, lower "
                "--lr, and check that the recordings hold finite numbers"
            )
        if value == 0.0:
            raise StoppedError(
                f"the loss is exactly zero at step {step}: no label token takes part in it (all are masked) or the "
                "arithmetic underflows; check the labels, and never train in fp16"
            )

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if not torch.isfinite(torch.stack(torch._foreach_norm(gradients))).all():
            raise StoppedError(
                f"a gradient is not finite at step {state.global_step + 1} though the loss is: lower --lr, and "
                "train in fp32"
            )

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **_: Any
    ) -> None:
        loss = (metrics or {}).get("eval_loss", 1.0)
        if not loss < float("inf"):
            raise StoppedError(
                f"the validation loss is {loss} after step {state.global_step}: lower --lr, and train in fp32"
            )


def choose_precision(asked: str = "auto") -> tuple[str, str]:
    """("fp32" or "bf16", the reason). Raises RefusedError for fp16: T5's feed-forward exceeds its range (65,504).

    A GPU before Ampere (capability 8.0) emulates bf16 slowly while claiming to support it, so the capability decides.
    """
    if asked == "fp16":
        raise RefusedError(
            "fp16 is refused: T5's activations exceed its range and training stands still unseen; use fp32 or bf16"
        )
    capability = torch.cuda.get_device_capability() if torch.cuda.is_available() else None
    able = capability is not None and capability >= (8, 0)
    if asked == "bf16" and not able:
        raise RefusedError("bf16 needs a GPU of compute capability 8.0 or more; use --precision fp32")
    if asked == "fp32":
        return "fp32", "asked for"
    if capability is None:
        return "fp32", "no GPU"
    if able:
        return "bf16", f"GPU of compute capability {capability[0]}.{capability[1]}"
    return "fp32", f"GPU of compute capability {capability[0]}.{capability[1]}, below 8.0"


def check_labels(tokens: Sequence[Sequence[int]], labels: Sequence[str]) -> LabelTree:
    """The tree of the labels. Raises RefusedError when two clash in the tokenizer."""
    try:
        return label_tree(tokens, labels)
    except ValueError as error:
        raise RefusedError(f"{error}; rename one of them") from error


def check_prompt_length(longest: int, limit: int) -> None:
    """Raises RefusedError when the longest prompt, in tokens, is over the limit: it would be cut without a word."""
    if longest > limit:
        raise RefusedError(
            f"a prompt has {longest} tokens, over the limit of {limit}: name fewer --features or raise --max-tokens"
        )
