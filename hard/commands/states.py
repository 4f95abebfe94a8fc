"""`hard label --states`: labelled windows of recordings in, the changes of state out that the daemon would publish.

A recording has no end of its own: after its last window the device counts as silent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hard.outputs.acceptance import Acceptance
from hard.outputs.state import Smoother, StateChange, StateUpdate
from hard.recordings.recordings import LabelledWindow
from hard.records import Prediction, State, StateMemory


@dataclass(frozen=True, slots=True)
class Step:
    """What a window, or the silence after it, shows: the windows whose state is known now, and changes of state of the
    device of `last`."""

    last: LabelledWindow
    windows: list[tuple[LabelledWindow, State]]
    changes: tuple[StateChange, ...]


def follow(
    labelled: Iterable[tuple[LabelledWindow, Prediction]], smoother: Smoother, *, acceptance: Acceptance,
    silent_after_s: float,
) -> Iterator[Step]:  # fmt: skip
    """The steps of `labelled`, in which the windows of a device stand together, oldest first."""
    last: LabelledWindow | None = None
    memory: StateMemory | None = None
    waiting: deque[LabelledWindow] = deque()  # windows whose state is not known yet

    def step(last: LabelledWindow, update: StateUpdate) -> Step:
        return Step(last, [(waiting.popleft(), state) for state in update.states], update.changes)

    for one, prediction in labelled:
        if last and memory and _is_silent_between(last, one, silent_after_s):
            update = smoother.end(memory)
            yield step(last, update)
            memory = update.memory if one.window.device == last.window.device else None
        update = smoother.update(memory, prediction, accepted=acceptance.accepts(prediction))
        if update.memory is not memory:  # else it is the same window again
            waiting.append(one)
        last, memory = one, update.memory
        yield step(one, update)
    if last and memory:
        yield step(last, smoother.end(memory))


def as_object(step: Step, change: StateChange) -> dict[str, object]:
    """One line of the output."""
    return {
        "subject": step.last.subject,
        "place": step.last.place,
        "from": change.before,
        "to": change.state.label,
        "at": round(change.state.since, 6),
        "confidence": round(change.state.confidence, 6),
    }


def _is_silent_between(before: LabelledWindow, after: LabelledWindow, silent_after_s: float) -> bool:
    other = after.window.device != before.window.device
    return other or after.window.start - before.window.end > silent_after_s
