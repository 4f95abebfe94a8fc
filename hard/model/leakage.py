"""Whether a bundle has met the people that it is judged on: the sentence that every figure about them must carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hard.model.bundle import Manifest, Training, sha256

RANDOM = "LEAKY, windows split at random"  # in the names of a bundle's figures
MET_BEFORE = "LEAKY, the bundle that it began with has met them"  # the same


def digests(files: Sequence[Path]) -> dict[str, str]:
    """What tells a recording again under another name: the sha256 of each file, by name; of files of one name in
    several folders, the later ones by name and number."""
    told: dict[str, str] = {}
    names: Counter[str] = Counter()
    for file in files:
        names[file.name] += 1
        n = names[file.name]
        told[file.name if n == 1 else f"{file.name} ({n})"] = sha256(file)
    return told


def split_at_random(manifest: Manifest) -> bool:
    """Whether windows of the same people were in every part."""
    return any(RANDOM in part for part in manifest.training.metrics)


def met_before(manifest: Manifest) -> bool:
    """Whether the people whom the figures are about were met by the bundle that this one began with."""
    return any(MET_BEFORE in part for part in manifest.training.metrics)


def of(manifest: Manifest, files: Sequence[Path], subjects: Sequence[str]) -> str:
    """One sentence where the bundle, or one that it was adapted from, was made with these subjects of these files; else
    empty. A recording that was written anew, with other bytes under another name, isn't recognised."""
    training: Training | None = manifest.training
    if split_at_random(manifest) and _shares(manifest.training, files):
        return f"{RANDOM} when this bundle was made, so it was trained on these very people"
    nobody = "the figures say nothing about others"
    while training is not None:
        for part, did in (("train", "trained"), ("validation", "its epoch chosen")):
            known = [subject for subject in subjects if subject in training.subjects.get(part, ())]
            if known and _shares(training, files):
                return f"LEAKY: this bundle was {did} on the subjects {', '.join(known)}; {nobody}"
        training = training.adapted_from
    return ""


def _shares(training: Training, files: Sequence[Path]) -> bool:
    names, known = set(training.data.split(", ")), set(training.digests.values())
    return any(file.name in names for file in files) or any(sha256(file) in known for file in files if known)
