"""How far a training is, for the person who waits: a bar with the time left, or a line now and then without a terminal.

Also ends training at a deadline, and saves now and then within a long epoch. Knows no model and no data.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

from training.loop.trained import SERVED_MACRO_F1

LINE_EVERY_S = 60.0
SAVE_EVERY_S = 600.0  # an interruption costs no more than this


class ProgressBar(TrainerCallback):
    """A bar where the output is a terminal; elsewhere a line a minute. Each evaluation is a line in both."""

    def __init__(self, title: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._title, self._now = title, now
        self._bar: tqdm[Any] | None = None
        self._began = self._printed_at = 0.0
        self._first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began = self._printed_at = self._now()
        self._first = state.global_step
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=state.max_steps, initial=state.global_step, desc=self._title, unit="step", dynamic_ncols=True
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)
        elif self._now() - self._printed_at >= LINE_EVERY_S:
            self._printed_at = self._now()
            pace = (self._printed_at - self._began) / max(state.global_step - self._first, 1)
            left_s = pace * (state.max_steps - state.global_step)
            self._print(f"step {state.global_step} of {state.max_steps}, {duration(left_s)} left at most")

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **_: Any
    ) -> None:
        learnt = next((entry["loss"] for entry in reversed(state.log_history) if "loss" in entry), float("nan"))
        found = metrics or {}
        losses = f"training loss {learnt:.4f}, validation loss {found['eval_loss']:.4f}"
        served = f"accuracy {found['eval_served_accuracy']:.3f}, macro-F1 {found[SERVED_MACRO_F1]:.3f}"
        self._print(f"epoch {state.epoch or 0:.4g}: {losses}, {served} (written freely {found['eval_macro_f1']:.3f})")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the bar, also where training ended in an error."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _print(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(f"{self._title}: {line}", file=sys.stderr)
        else:
            print(f"{self._title}: {line}", file=sys.stderr, flush=True)


class TrainingClock(TrainerCallback):
    """Ends training at `deadline` (of `now`) or after `last_step`; `stopped` then says which. Saves every SAVE_EVERY_S.

    At the deadline the epoch counts as ended: what has been learnt is evaluated and may be the best.
    """

    def __init__(
        self, deadline: float | None, last_step: int | None, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._deadline, self._last_step, self._now = deadline, last_step, now
        self._saved = now()
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._deadline is not None and self._now() >= self._deadline and state.global_step < state.max_steps:
            self.stopped = control.should_training_stop = True
        if self._last_step is not None and state.global_step >= self._last_step:
            self.stopped, control.should_training_stop = False, True
        if self._now() - self._saved >= SAVE_EVERY_S:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved = self._now()


def duration(seconds: float) -> str:
    """A duration for people: `40 s`, `7 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
