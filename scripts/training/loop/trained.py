"""What a training came to: its epochs, read from Trainer's log. Records alone; knows no torch."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

SERVED_MACRO_F1 = "eval_served_macro_f1"  # in Trainer's log: macro-F1 of the labels as a bundle gives them


class Epoch(msgspec.Struct, frozen=True):
    """The mean training loss since the last entry, up to `epoch`; the other two are None without validation."""

    epoch: float
    training_loss: float
    validation_loss: float | None = None
    macro_f1: float | None = None


class Trained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`epochs` is how many the kept weights have seen, of `passed`; `out_of_time` where the time limit ended it."""

    epochs: float
    passed: float
    history: tuple[Epoch, ...]
    out_of_time: bool


def history_of(log: Sequence[dict[str, float]]) -> tuple[Epoch, ...]:
    """The epochs in Trainer's log: one a training loss, with the evaluation at the same epoch where there is one."""
    found = {entry["epoch"]: entry for entry in log if "eval_loss" in entry}
    return tuple(
        Epoch(entry["epoch"], entry["loss"], evaluated.get("eval_loss"), evaluated.get(SERVED_MACRO_F1))
        for entry in log
        if "loss" in entry
        for evaluated in [found.get(entry["epoch"], {})]
    )
