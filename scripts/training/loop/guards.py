"""What stops a fine-tune that would come to nothing: refusals before it starts, alarms while it runs.

Each says one sentence: the cause and the remedy. Knows no data and no files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from training.errors import RefusedError, StoppedError

IGNORED = -100  # what labels are padded with: the loss leaves it out
MOVED_AFTER = 10  # updates after which some weight must differ from its first value
WARM_UP = 100  # updates, at least, after which the loss must have fallen
FALLEN = 0.99  # of its first value
RISEN = 2.0  # times what the weights began with, or a guess among few labels costs: a loss no training recovers from
GUESS = 1.0  # about that, in nats a token
SMOOTHED = 50  # updates that a smoothed loss averages
SAME = 1e-6  # of a loss: batches differ by more, dropout alone sees to that


class Guard(TrainerCallback, ExportableState):
    """Raises StoppedError within the step in which a loss or gradient goes wrong, and soon where nothing is learnt.

    Trainer calls it around each update, `GuardedTrainer` hands it each loss. The loss must have fallen by 1 % after one
    epoch and at least WARM_UP updates, or at the end of a shorter training, except where the model `begins_able`: its
    loss may be as low as it goes. Nowhere may it rise far above its beginning. What it has seen is in each checkpoint.
    """

    def __init__(self, *, steps_an_epoch: int = 0, begins_able: bool = False) -> None:
        self._arguments = {"steps_an_epoch": steps_an_epoch, "begins_able": begins_able}
        self._due = None if begins_able else max(WARM_UP, steps_an_epoch)
        self._batches: list[float] = []  # of the update under way
        self._begun_at = 0
        self._first_norms: torch.Tensor | None = None
        # A loss an update:
        self.first: float | None = None
        self.losses: list[float] = []  # the first and the latest SMOOTHED until the fall is due
        self.latest: list[float] = []  # SMOOTHED of them
        self.since_logged: list[float] = [0.0, 0]  # sum and number, since `mean_since_logged`

    def state(self) -> dict[str, Any]:
        """What Trainer keeps in a checkpoint, and gives a new guard when resumed."""
        seen = {name: getattr(self, name) for name in ("first", "losses", "latest", "since_logged")}
        return {"args": self._arguments, "attributes": seen}

    def mean_since_logged(self) -> float:
        """Mean loss of the updates since the last call, those before an interruption included."""
        total, updates = self.since_logged
        self.since_logged = [0.0, 0]
        return total / max(updates, 1)

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
        self._batches.append(value)

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self._begun_at = state.global_step
        self._first_norms = _norms(model)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if not torch.isfinite(torch.stack(torch._foreach_norm(gradients))).all():
            raise StoppedError(
                f"a gradient is not finite at step {state.global_step + 1} though the loss is: lower --lr, and "
                "train in fp32"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        step = state.global_step
        if step == self._begun_at + MOVED_AFTER and self._first_norms is not None:
            if torch.equal(self._first_norms, _norms(model)):
                raise StoppedError(
                    f"no weight has moved in {MOVED_AFTER} updates: the learning rate is 0, the weights are frozen, or "
                    "the optimizer skips its updates as fp16's loss scaling does; raise --lr, and train in fp32"
                )
            self._first_norms = None
        if not self._batches:
            return
        loss = sum(self._batches)  # each batch's is its share of the update's
        self._batches.clear()
        self.since_logged = [self.since_logged[0] + loss, self.since_logged[1] + 1]
        self.first = loss if self.first is None else self.first
        self.latest = [*self.latest, loss][-SMOOTHED:]
        self._check_same(step)
        if step >= WARM_UP:
            self._check_rise(step)
        if self._due is not None and step <= self._due:
            self.losses.append(loss)
            if step == self._due:
                self._check_fall(step)
            else:
                del self.losses[SMOOTHED:-SMOOTHED]

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A training shorter than the warm-up is measured by what there is of it."""
        step = state.global_step
        if MOVED_AFTER <= step < WARM_UP:
            self._check_rise(step)
        if self._due is not None and MOVED_AFTER <= step < self._due:
            self._check_fall(step)

    def _check_same(self, step: int) -> None:
        if len(self.latest) == SMOOTHED and max(self.latest) - min(self.latest) <= SAME * max(self.latest):
            raise StoppedError(
                f"the loss has been {self.latest[-1]:.6f} to the digit for {SMOOTHED} updates, until step {step}: "
                "the weights have run away and every prompt gets the same answer; lower --lr"
            )

    def _check_rise(self, step: int) -> None:
        now = sum(self.latest) / max(len(self.latest), 1)
        if self.first is not None and now > RISEN * max(self.first, GUESS):
            raise StoppedError(
                f"the loss has risen from {self.first:.4f} to {now:.4f} in {step} updates: training diverges; lower "
                "--lr (Adafactor wants about 1e-3)"
            )

    def _check_fall(self, step: int) -> None:
        few = max(1, min(SMOOTHED, len(self.losses) // 2))
        first, last = (sum(part) / len(part) for part in (self.losses[:few], self.losses[-few:]))
        if last > FALLEN * first:
            raise StoppedError(
                f"the loss has not fallen by 1 % in {step} updates ({first:.4f} at first, {last:.4f} now): nothing is "
                "learnt; raise --lr (Adafactor wants about 1e-3), and check that the labels belong to the recordings"
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


def check_arguments(settings: Any) -> None:
    """Raises RefusedError for Trainer's settings under which a training fails unseen."""
    if settings.fp16 or getattr(settings, "fp16_full_eval", False):
        choose_precision("fp16")
    if settings.logging_nan_inf_filter:
        raise RefusedError("logging_nan_inf_filter prints a loss of nan as 0.0: set it to False")


def check_label_padding(collate: Callable[[list[Any]], Any], examples: Any, pad_id: int) -> None:
    """Raises RefusedError when `collate` pads labels with the pad token, or `examples` are so padded already.

    T5's loss leaves out IGNORED alone: padding would be learnt, and would drown the label.
    """
    by_length = {len(example["labels"]): example for example in _one_a_label(examples)}
    batch = collate([dict(example) for example in by_length.values()])
    if (torch.as_tensor(batch["labels"]) == pad_id).any():
        raise RefusedError(
            f"labels are padded with the pad token {pad_id} where the loss leaves out {IGNORED} alone: let the "
            f"collator pad them, with label_pad_token_id={IGNORED}"
        )


def _one_a_label(examples: Any) -> list[Any]:
    """One example of each label, where that is known, else a few."""
    label = getattr(examples, "label", None)
    if label is None:
        return [examples[i] for i in range(min(len(examples), 100))]
    return [examples[int((label == k).argmax())] for k in sorted(set(label.tolist()))]


def _norms(model: Any) -> torch.Tensor:
    """The norm of each weight that can be trained."""
    return torch.stack(torch._foreach_norm([p.detach() for p in model.parameters() if p.requires_grad]))
