"""Whether a model has seen the subjects that it is judged on: from a manifest's typed fields, never from its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from hard.model.bundle import SplitKind, Training, sha256

LEARNT = "LEAKY, the weights learnt from these"
SEEN_BEFORE = "LEAKY, seen by the bundle that it began with"
SPLITS: dict[SplitKind, str] = {"subject": "", "time": "same people, later", "random": "LEAKY, windows split at random"}


def digests(files: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each file by its name: a recording is recognised under another name. Of files of one name in
    several folders, the later ones go by name and number."""
    found: dict[str, str] = {}
    names: Counter[str] = Counter()
    for file in files:
        names[file.name] += 1
        n = names[file.name]
        found[file.name if n == 1 else f"{file.name} ({n})"] = sha256(file)
    return found


def mark(part: str, subjects: Collection[str], split: SplitKind, seen_before: Collection[str]) -> str:
    """What must stand beside each figure on `part` ("train", "validation", "test"), whose people are `subjects`; empty
    where the model has never seen them. `seen_before` are those whom the bundle that was adapted has seen."""
    if part == "train":
        return LEARNT
    marks = (SPLITS[split], SEEN_BEFORE if set(subjects) & set(seen_before) else "")
    return "; ".join(filter(None, marks))


def mark_of(training: Training, part: str) -> str:
    """The `mark` of a part of a bundle's figures."""
    return mark(part, training.subjects.get(part, ()), training.split, training.seen_before)


def seen_subjects(training: Training, files: Sequence[Path], subjects: Sequence[str]) -> tuple[str, ...]:
    """Those of `subjects` in `files` that the bundle, or one that it was adapted from, learnt from or was chosen by.

    A recording that was written anew, with other bytes under another name, isn't recognised.
    """
    known = {s for made in _ancestry(training) for part in ("train", "validation") for s in made.subjects.get(part, ())
             if _shares(made, files)}  # fmt: skip
    return tuple(subject for subject in subjects if subject in known)


def warning(training: Training, files: Sequence[Path], subjects: Sequence[str]) -> str:
    """One sentence where `seen_subjects` are any, about the latest training that saw some; else empty."""
    for made in _ancestry(training):
        for part, did in (("train", "trained"), ("validation", "its epoch chosen")):
            known = [subject for subject in subjects if subject in made.subjects.get(part, ())]
            if known and _shares(made, files):
                how = ", windows split at random" if made.split == "random" else ""
                return (
                    f"LEAKY: this bundle was {did} on the subjects {', '.join(known)}{how}; the figures say nothing "
                    "about others"
                )
    return ""


def _ancestry(training: Training | None) -> Iterator[Training]:
    """The training of a bundle, then that of the bundle that it began with, and so on."""
    while training is not None:
        yield training
        training = training.adapted_from


def _shares(training: Training, files: Sequence[Path]) -> bool:
    names, known = {*training.data.split(", "), *training.digests}, set(training.digests.values())
    return any(file.name in names for file in files) or any(sha256(file) in known for file in files if known)
