"""What every fine-tune must show, and what one did show: the table that ends a run and stands in its card. Pure.

It is the table that the original notebook promised and missed: its losses were 0 and nan, its samples echoed prompts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from training.results.outcome import Trial


def training_figures(trial: Trial) -> dict[str, Any]:
    """Losses by epoch and on the test windows, rounded; None where it is not finite."""
    by_epoch = {
        name: [_rounded(epoch[i]) for epoch in trial.history] for i, name in ((1, "training"), (2, "validation"))
    }
    test = {"test": _rounded(trial.test_loss)} if "test" in trial.parts else {}
    return {"losses": {**by_epoch, **test}, "samples": [asdict(s) for s in trial.samples]}


def _rounded(loss: float) -> float | None:
    return round(loss, 4) if math.isfinite(loss) else None


def promises(told: dict[str, Any], accuracy: float) -> list[tuple[str, str, str]]:
    """What must be shown, what is, and whether that keeps it; `told` as `training_figures` gives it."""
    losses, samples = told["losses"], told["samples"]
    learnt, validated, test = losses["training"], losses["validation"], losses.get("test")
    labels = {sample["label"] for sample in samples} | {sample["truth"] for sample in samples}
    written = [sample["generated"] for sample in samples]
    are_labels = sum(text in labels for text in written)
    right = sum(sample["generated"] == sample["truth"] for sample in samples)
    return [
        ("training loss falls, stays above zero", _course(learnt), _kept(_falls(learnt) and min(learnt) > 0)),
        ("validation loss finite, falls", _course(validated), _kept(_falls(validated))),
        ("test loss finite", _number(test), _kept(test is not None) if "test" in losses else "nobody tests"),
        ("accuracy", f"{accuracy:.3f}", ""),
        (
            "samples written freely are labels",
            f"{are_labels} of {len(written)}, {right} right",
            _kept(are_labels == len(written)),
        ),
    ]


def _falls(losses: Sequence[float | None]) -> bool:
    """Whether each is finite and some later one is below the first; one epoch alone falls nowhere."""
    known = [loss for loss in losses if loss is not None]
    return len(known) == len(losses) > 1 and min(known[1:]) < known[0]


def _course(losses: Sequence[float | None]) -> str:
    return " → ".join(map(_number, losses))


def _number(loss: float | None) -> str:
    return "none" if loss is None else f"{loss:.3f}"


def _kept(holds: bool) -> str:
    return "yes" if holds else "NO"


def shortened(prompt: str, characters: int = 100) -> str:
    """The prompt as a table has room for it."""
    return prompt if len(prompt) <= characters else prompt[: characters - 1] + "…"
