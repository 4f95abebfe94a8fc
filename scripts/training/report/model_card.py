"""A bundle's manifest → its model card, README.md. Pure."""

from __future__ import annotations

from typing import Any

from hard.model.bundle import Manifest, Training
from hard.model.leakage import SEEN_BEFORE, SPLITS, mark_of
from training.report import markdown

LIMITS = """\
## Limits

- It knows its labels only: whatever else the wearer does is given one of them, often with confidence.
- The figures hold for people like those in the data, with the device worn the same way. Other placements and other
  devices need their own recordings.
- Windows overlap, so neighbouring windows are not independent: read the figures by subject.
"""
SPLIT = "The split is by subject. The epoch and the temperature were chosen on the validation subjects"
REFIT = (
    "; then the model learnt once more, from them too, for as many epochs as stand above. The validation figures are "
    "those of the first, which had not"
)
REFIT_BY_FOLDS = (
    "The split is by subject. The temperature was chosen on the validation subjects, by a first model that had not "
    "learnt from them; theirs are its figures, after epoch {first:g}, its best. This one learnt from them too, for "
    "{epochs:g} epochs: as many as were best in the folds of the cross-validation below, at the median"
)
MET = (
    "The weights learnt from these very windows. By the figures `scripts/evaluate.py` can check them; nobody should "
    "judge them."
)
TEST = "; the test subjects were met once, at the end"
AT_RANDOM = (
    f"**{SPLITS['random']}.** Overlapping windows of the same people are in every part, so the figures measure "
    "memory and say nothing about people whom the model never saw."
)
KNOWN = (
    f"**{SEEN_BEFORE}.** The people whom the figures so marked are about are among those that the bundle before was "
    "made from, so the figures say nothing about others, and the comparison with that bundle favours it."
)

IN_TIME = (
    f"**The split is in time ({SPLITS['time']}).** The first part of each activity was learnt from, the next chose "
    "the epoch and the temperature, the last tested: the figures hold for these people, and say little about others."
)


def model_card(manifest: Manifest, losses: bool = True) -> str:
    """Markdown: what it is, command, data, split, figures by label and by subject, baselines, abstaining, limits.

    `losses` says whether the loss curves lie beside it.
    """
    training, window, prompt = manifest.training, manifest.window, manifest.prompt
    told = training.metrics
    judged = [part for part in ("test", "validation") if part in told]
    mark = mark_of(training, judged[0])
    facts = {
        "Base": f"`{training.base}`",
        "Data": training.data,
        "Prompt": f"`{prompt.style}` version {prompt.version}, {len(prompt.features)} features, "
        f"{told.get('prompt_tokens', '?')} tokens",
        "Precision": training.precision,
        "Epochs": f"{training.epochs:g}",
        "Seed": training.seed,
        "Temperature": f"{manifest.temperature:g}",
        "Served in": _served(manifest),
        "Versions": ", ".join(f"{k} {v}" for k, v in training.versions.items()),
        **{f"Subjects, {part}": ", ".join(names) or "none" for part, names in training.subjects.items()},
    }
    parts = [
        f"# {markdown.marked(manifest.name, mark)}",
        f"A T5 that labels {window.length_s:g} s of acceleration at {window.rate_hz:g} Hz as one of: "
        f"{', '.join(manifest.labels)}.",
        "## How it was made",
        f"```sh\n{training.command}\n```",
        markdown.facts(facts),
        _split(training),
        KNOWN if training.seen_before else "",
    ]
    for part in judged:
        parts.append(markdown.figures(markdown.marked(f"Figures, {part}", mark_of(training, part)), told[part]))
        parts.append(markdown.baselines(f"The same windows and split, other models, {part}", told[part]))
    if "train" in told:
        parts += [markdown.figures(markdown.marked("Figures, train", mark_of(training, "train")), told["train"]), MET]
    parts.append(markdown.promises(told, told[judged[0]]["accuracy"]))
    if "cross_validation" in told:
        parts += _crossed(told["cross_validation"])
    if "abstaining" in told:
        parts += [
            markdown.abstaining(told["abstaining"], markdown.marked("Abstaining", mark)),
            markdown.pictures(losses),
        ]
    return "\n\n".join(part for part in [*parts, LIMITS] if part)


def _split(training: Training) -> str:
    """How the recordings were parted, what chose epoch and temperature, and how long the weights learnt."""
    if training.split != "subject":
        return AT_RANDOM if training.split == "random" else IN_TIME
    return f"{_by_subject(training)}{TEST * bool(training.subjects['test'])}."


def _by_subject(training: Training) -> str:
    if training.refit and "cross_validation" in training.metrics:
        return REFIT_BY_FOLDS.format(first=training.metrics["epoch"], epochs=training.epochs)
    return SPLIT + REFIT * training.refit


def _served(manifest: Manifest) -> str:
    told = manifest.int8
    if told is None:
        return manifest.precision
    return (
        f"{manifest.precision}. On the validation subjects fp32 reaches macro-F1 {told.macro_f1_fp32:.4f}, int8 "
        f"{told.macro_f1:.4f}; no probability differs by more than {told.greatest_difference:.3f}; int8 was "
        f"{told.speed:.2f} times as fast where the model was trained"
    )


def _crossed(told: dict[str, Any]) -> list[str]:
    """What the same recipe reached on people whom its models never saw; these weights have seen more people."""
    count, mark = len(told["folds"]), SEEN_BEFORE if told["seen_before"] else ""
    expected = (
        f"The figures to expect on other people: {count} models of the same recipe, each judged on subjects that it "
        "never met. None of them is this one."
    )
    return [
        f"## {markdown.marked('Cross-validation', mark)}",
        markdown.seen_before(told["seen_before"]) or expected,
        f"```sh\n{told['command']}\n```",
        markdown.folds(told),
        markdown.figures(markdown.marked("Cross-validation, all test windows together", mark), told["pooled"]),
    ]
