"""`hard label --states`: the changes that the daemon would publish, device by device, and the state of each window."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hard.commands.states import Step, as_object, follow
from hard.outputs.acceptance import Acceptance
from hard.outputs.state import MajoritySmoother, Smoother, StateFilter
from hard.recordings.recordings import LabelledWindow
from hard.records import Prediction, Window

LABELS = ("Walking", "Sitting")
NEXT = ((0.9, 0.1), (0.1, 0.9))
UP = np.zeros(3, np.float32)


def labelled(
    subject: str, label: str, starts: Iterable[float], place: str | None = None
) -> list[tuple[LabelledWindow, Prediction]]:
    made = []
    for start in starts:
        device = f"{subject}@{place}" if place else subject
        window = Window(device, start, start + 4, np.zeros((80, 3), np.float32), 1.0, UP, UP, True, 0.0, start, start)
        probabilities = np.array([0.9, 0.1] if label == "Walking" else [0.1, 0.9])
        made.append((LabelledWindow(window, label, subject, place), Prediction(window, label, 0.9, probabilities)))
    return made


def steps(windows: list[tuple[LabelledWindow, Prediction]], smoother: Smoother | None = None) -> list[Step]:
    return list(
        follow(windows, smoother or MajoritySmoother(1), acceptance=Acceptance(LABELS, {}, 0.5), silent_after_s=60.0)
    )


def lines(found: list[Step]) -> list[tuple[object, ...]]:
    return [tuple(as_object(step, change).values()) for step in found for change in step.changes]


def test_each_device_begins_without_a_state_and_ends_silent() -> None:
    found = steps(
        [*labelled("3", "Walking", (0, 1), "wrist"), *labelled("3", "Sitting", (0, 1)), *labelled("9", "Walking", (0,))]
    )
    assert lines(found) == [
        ("3", "wrist", None, "Walking", 0, 0.9), ("3", "wrist", "Walking", "unknown", 5, 0.0),
        ("3", None, None, "Sitting", 0, 0.9), ("3", None, "Sitting", "unknown", 5, 0.0),
        ("9", None, None, "Walking", 0, 0.9), ("9", None, "Walking", "unknown", 4, 0.0),
    ]  # fmt: skip


def test_a_long_gap_is_a_silence_and_a_short_one_is_not() -> None:
    found = steps(labelled("3", "Walking", (0, 60, 125)))
    assert [(before, to, at) for _, _, before, to, at, _ in lines(found)] == [
        (None, "Walking", 0), ("Walking", "unknown", 64), ("unknown", "Walking", 125), ("Walking", "unknown", 129),
    ]  # fmt: skip


def test_each_window_has_its_state_when_it_is_known() -> None:
    smoother = StateFilter(Acceptance(LABELS, {}, 0.0), NEXT, tempering=0.25, hop_s=1.0, lag_s=2.0)
    windows = [
        *labelled("3", "Walking", range(5)),
        *labelled("3", "Walking", (4,)),
        *labelled("9", "Sitting", range(3)),
    ]
    found = steps(windows, smoother)
    known = [(one.subject, one.window.start, state.label) for step in found for one, state in step.windows]
    assert known == [*(("3", start, "Walking") for start in range(5)), *(("9", start, "Sitting") for start in range(3))]
    assert all(one.window.start == state.since for step in found for one, state in step.windows)
    assert [len(step.windows) for step in found] == [0, 0, 1, 1, 1, 0, 2, 0, 0, 1, 2]


def test_nothing_gives_nothing() -> None:
    assert steps([]) == []
