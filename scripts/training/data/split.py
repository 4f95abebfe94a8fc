"""Which subjects are learnt from, which choose the epoch, and which test: a split by subject.

Windows overlap and a person's windows resemble one another, so a split by window measures memory. There is one all the
same, to reproduce figures that were reached so: its kind goes with it, and marks all that comes of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hard.model import leakage
from hard.model.bundle import PARENTS, SplitKind
from hard.motion.windows import Grid
from hard.recordings.recordings import Recording
from hard.recordings.scores import alternatives
from hard.units import place_of
from training.data import loading
from training.data.loading import LabelledWindows
from training.errors import RefusedError

VALIDATION_SHARE = 0.15
TEST_SHARE = 0.2  # of the windows, where they are split at random
KINDS = "dataset", "place", "activity"  # that can be left out
PARTS = "train", "validation", "test"
DRAWS = 200  # of validation subjects, until these show every label


@dataclass(frozen=True, slots=True)
class Split:
    """Subjects by part; no subject is in two. Where people weren't parted, but windows at random or in time, each part
    holds its own name, which stands for the subject in the windows that came with the split; `everyone` names the
    people. `seen_before` are those to validate or test on whom the bundle that is adapted has seen. Where a data set or
    a place is left out, the test is a group of that name, and `left_people` wear it; the model may have seen them
    elsewhere."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    kind: SplitKind = "subject"
    everyone: tuple[str, ...] = ()
    seen_before: tuple[str, ...] = ()
    left_people: tuple[str, ...] = ()

    def groups(self) -> dict[str, tuple[str, ...]]:
        """By part, what `LabelledWindows.of` takes."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def parts(self) -> dict[str, list[str]]:
        """By part, the people in it, for the manifest: all are in all where windows were split at random."""
        people = {**self.groups(), "test": self.left_people or self.test}
        return {part: list(self.everyone or names) for part, names in people.items()}

    def judged(self) -> tuple[str, ...]:
        """The people to validate or test on."""
        parts = self.parts()
        return tuple(dict.fromkeys((*parts["validation"], *parts["test"])))

    def mark(self, part: str) -> str:
        """What must stand beside the figures on `part`; see `leakage.mark`."""
        return leakage.mark(part, self.parts()[part], self.kind, self.seen_before)


def by_subject(subjects: Sequence[str], holdout: Sequence[str], validation: int | None, seed: int) -> Split:
    """`holdout` is the test; of the others `validation` (None: 15 %, at least one) are drawn by `seed`.

    Raises RefusedError when a held-out subject isn't in the data or too few are left to learn from.
    """
    present = list(dict.fromkeys(subjects))
    if unknown := [s for s in holdout if s not in present]:
        raise RefusedError(f"subject {unknown[0]!r} of --holdout is not in the data; there are {', '.join(present)}")
    rest = [s for s in present if s not in set(holdout)]
    drawn = max(1, round(VALIDATION_SHARE * len(rest))) if validation is None else validation
    if not 1 <= drawn < len(rest):
        raise RefusedError(
            f"too few subjects are left to learn from some and validate on {drawn}: {', '.join(rest) or 'none'}; "
            "for one person there is --split time"
        )
    chosen = {rest[i] for i in np.random.default_rng(seed).permutation(len(rest))[:drawn]}
    return Split(
        tuple(s for s in rest if s not in chosen),
        tuple(s for s in rest if s in chosen),
        tuple(s for s in present if s in set(holdout)),
    )


def covering(
    labelled: LabelledWindows, labels: Sequence[str], holdout: Sequence[str], validation: int | None, seed: int
) -> Split:
    """`by_subject`, drawn again until the validation subjects show every label, where some such draw is found."""
    subjects = labelled.group.tolist()
    first = by_subject(subjects, holdout, validation, seed)
    for draw in range(DRAWS):
        parts = by_subject(subjects, holdout, validation, seed + 1000 * draw)
        if all(set(labelled.of(part).truth.tolist()) >= set(labels) for part in (parts.train, parts.validation)):
            return parts
    return first


def leave_out(labelled: LabelledWindows, left_out: str) -> tuple[LabelledWindows, LabelledWindows]:
    """The windows without what `left_out` ("activity=Jogging", "activity=still") names, and those of that activity or
    parent; the windows of a data set or place become a group of that name instead."""
    kind, _, name = left_out.partition("=")
    if not left_out:
        return labelled, labelled.of(())
    if kind != "activity":
        rows = of_kind(labelled, kind) == name
        return replace(labelled, group=np.where(rows, left_out, labelled.group)), labelled.of(())
    labels = set(PARENTS.get(name, (name,)))
    truths = [set(alternatives(truth)) for truth in labelled.truth.tolist()]
    known = [i for i, truth in enumerate(truths) if not truth & labels]
    unknown = [i for i, truth in enumerate(truths) if truth <= labels]
    return labelled.at(np.array(known, dtype=np.int64)), labelled.at(np.array(unknown, dtype=np.int64))


def activities(labelled: LabelledWindows) -> list[str]:
    """What can be left out as an activity: each label, and each parent of several that leaves two labels or more."""
    labels = loading.ordered(labelled.truth)
    parents = {name: len(set(labels) & set(of)) for name, of in PARENTS.items()}
    return [*sorted(labels), *(name for name, count in parents.items() if 1 < count < len(labels) - 1)]


def check_left_out(labelled: LabelledWindows, left_out: str) -> None:
    """Raises RefusedError where `left_out` names nothing that can be left out of these windows."""
    kind, _, name = left_out.partition("=")
    if left_out and kind not in KINDS:
        raise RefusedError(f"--leave-out is {' or '.join(f'{kind}=NAME' for kind in KINDS)}, not {left_out}")
    names: list[str] = []
    if left_out:
        names = activities(labelled) if kind == "activity" else sorted(set(of_kind(labelled, kind).tolist()))
    if left_out and (name not in names or len(names) == 1):
        raise RefusedError(f"--leave-out: the {kind}s are {', '.join(names)}")


def of_kind(labelled: LabelledWindows, kind: str) -> NDArray[np.str_]:
    """The data set, the place (of PLACES) or the activity of each window (N,)."""
    if kind == "place":
        return np.array([place_of(place) for place in labelled.place.tolist()])
    return labelled.dataset if kind == "dataset" else labelled.truth


def names_to_leave_out(labelled: LabelledWindows, kind: str) -> list[str]:
    """What can be left out in turn: each activity and parent; each data set or known place whose windows show two
    labels or more."""
    known = labelled.of_one_label
    column = of_kind(known, kind)
    names = sorted(set(column.tolist()) - {"any" if kind == "place" else ""})
    found = [name for name in names if len(set(known.truth[column == name].tolist())) > 1]
    if kind == "activity":
        found = activities(known)
    if len(found) < 2:
        raise RefusedError(f"there are no two {kind}s with two labels each to leave out in turn")
    return found


def test_subjects(labelled: LabelledWindows, seed: int) -> tuple[str, ...]:
    """A fifth of the subjects, who show every label where such a draw is found."""
    count = max(1, round(TEST_SHARE * len(set(labelled.subject.tolist()))))
    return covering(labelled, loading.ordered(labelled.truth), (), count, seed).validation


def at_random(labelled: LabelledWindows, seed: int) -> tuple[LabelledWindows, Split]:
    """Windows assigned to the parts at random, and the split: in these windows a part stands for the subject."""
    rng = np.random.default_rng(seed)
    shares = [1 - TEST_SHARE - VALIDATION_SHARE, VALIDATION_SHARE, TEST_SHARE]
    part = rng.choice(["train", "validation", "test"], size=len(labelled), p=shares)
    everyone = tuple(dict.fromkeys(labelled.subject.tolist()))
    return replace(labelled, group=part), Split(("train",), ("validation",), ("test",), "random", everyone)


def in_time(runs: Sequence[Recording], grid: Grid) -> tuple[LabelledWindows, Split]:
    """Windows by time: of each person's every activity the first share is to learn from, the next to validate on, the
    last to test on. Samples are parted before windows are made, so no window reaches into another part."""
    labelled = loading.windows_of(_pieces_in_time(runs), grid)
    group, _, dataset = np.char.partition(labelled.dataset, "/").T
    if missing := [name for name in PARTS if name not in group]:
        raise RefusedError(f"the recordings are too short for --split time: no window is left in the {missing[0]} part")
    labelled = replace(labelled, group=group, dataset=dataset)
    everyone = tuple(dict.fromkeys(run.subject for run in runs))
    return labelled, Split(("train",), ("validation",), ("test",), "time", everyone)


def learnt_in_time(runs: Sequence[Recording]) -> list[Recording]:
    """The pieces of `runs` that `in_time` learns from."""
    found = [(piece, *str(piece.dataset).partition("/")) for piece in _pieces_in_time(runs)]
    return [replace(piece, dataset=dataset or None) for piece, part, _, dataset in found if part == "train"]


def _pieces_in_time(runs: Sequence[Recording]) -> list[Recording]:
    """`runs` cut by the parts of `in_time`; a piece's data set is `part/dataset`."""
    bounds = np.cumsum([1 - TEST_SHARE - VALIDATION_SHARE, VALIDATION_SHARE])
    total, passed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for run in runs:
        assert run.truth is not None  # `loading.load` refuses recordings without it
        names, counts = np.unique(run.truth, return_counts=True)
        total.update({(run.subject, str(name)): int(n) for name, n in zip(names, counts, strict=True)})
    pieces: list[Recording] = []
    for run in runs:
        assert run.truth is not None
        part = np.zeros(len(run.time), dtype=int)
        for truth in np.unique(run.truth):
            rows, key = np.flatnonzero(run.truth == truth), (run.subject, str(truth))
            part[rows] = np.searchsorted(bounds, (passed[key] + np.arange(len(rows))) / total[key], side="right")
            passed[key] += len(rows)
        for rows in np.split(np.arange(len(part)), np.flatnonzero(np.diff(part)) + 1):
            dataset = f"{PARTS[part[rows[0]]]}/{run.dataset or ''}"  # with the part that each window is in
            pieces.append(replace(run, time=run.time[rows], xyz=run.xyz[rows], truth=run.truth[rows], dataset=dataset))
    return pieces


def into_folds(subjects: Sequence[str], folds: int, seed: int) -> list[tuple[str, ...]]:
    """The test subjects of each fold: every subject once, split at random by `seed`. Raises RefusedError for too many
    folds."""
    present = list(dict.fromkeys(subjects))
    if not 2 <= folds <= len(present):
        raise RefusedError(f"{len(present)} subjects can't be parted into {folds} folds: choose --folds from 2 on")
    order = np.random.default_rng(seed).permutation(len(present))
    return [tuple(present[i] for i in sorted(order[fold::folds])) for fold in range(folds)]


def check_classes(labelled: LabelledWindows, split: Split, labels: Sequence[str]) -> None:
    """Raises RefusedError when a label has no window to learn from, or none to validate on."""
    for part, subjects in (("train", split.train), ("validate", split.validation)):
        present = set(labelled.of(subjects).truth.tolist())  # one of several labels is none of them
        if missing := [label for label in labels if label not in present]:
            raise RefusedError(
                f"there is no window of {missing[0]!r} to {part} on: choose other subjects with --holdout or --seed"
            )
