"""A bundle's manifest → its model card, README.md. Pure."""

from __future__ import annotations

from hard.model.bundle import Manifest, Training
from hard.model.figures import CrossValidation
from hard.model.leakage import SEEN_BEFORE, SPLITS, mark_of
from training.report import markdown

LIMITS = """\
## Limits

- It knows its labels only: whatever else the wearer does is given one of them, and may be accepted.
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
ON_TRAIN = (
    "The weights learnt from these very windows. The figures let `scripts/evaluate.py` check the weights, and are no "
    "judgement of them."
)
TEST = "; the test subjects were used once, at the end"
AT_RANDOM = (
    f"**{SPLITS['random']}.** Overlapping windows of the same people are in every part, so the figures measure "
    "memory and say nothing about people whom the model never saw."
)
KNOWN = (
    f"**{SEEN_BEFORE}.** The people whom the figures so marked are about are among those that the bundle before was "
    "made from, so the figures say nothing about others, and the comparison with that bundle favours it."
)

NO_GRAVITY = (
    "**Gravity was taken out** of the accelerations of {names}. HARD tells which way is up by gravity, so what was "
    "learnt from them holds for such sensors alone."
)
IN_TIME = (
    f"**The split is in time ({SPLITS['time']}).** The first part of each activity was learnt from, the next chose "
    "the epoch and the temperature, the last tested: the figures hold for these people, and say little about others."
)


def model_card(manifest: Manifest, losses: bool = True) -> str:
    """Markdown: what it is, command, data, split, figures by label and by subject, baselines, abstaining, limits.

    `losses` says whether the loss curves lie beside it.
    """
    training, window = manifest.training, manifest.window
    metrics = training.metrics
    judged = [part for part in metrics.parts if part != "train"]
    mark = mark_of(training, judged[0])
    parts = [
        f"# {markdown.marked(manifest.name, mark)}",
        f"A T5 that labels {window.length_s:g} s of acceleration at {window.rate_hz:g} Hz as one of: "
        f"{', '.join(manifest.labels)}.",
        "## How it was made",
        f"```sh\n{training.command}\n```",
        markdown.facts(_facts(manifest)),
        _split(training),
        KNOWN if training.seen_before else "",
        NO_GRAVITY.format(names=", ".join(training.without_gravity)) if training.without_gravity else "",
    ]
    for part in judged:
        figures = metrics.parts[part]
        parts.append(markdown.figures(markdown.marked(f"Figures, {part}", mark_of(training, part)), figures))
        parts.append(markdown.baselines(f"The same windows and split, other models, {part}", figures))
    if metrics.train is not None:
        title = markdown.marked("Figures, train", mark_of(training, "train"))
        parts += [markdown.figures(title, metrics.train), ON_TRAIN]
    parts.append(markdown.rates(metrics.macro_f1_by_rate, manifest.least_rate_hz))
    parts.append(markdown.acceptance(metrics))
    if metrics.cross_validation is not None:
        parts += _crossed(metrics.cross_validation)
    for left_out in metrics.left_out:
        parts += _left_out(left_out)
    if metrics.abstaining is not None:
        title = markdown.marked("Abstaining", mark)
        parts += [
            markdown.abstaining(metrics.abstaining, title),
            markdown.dropped(metrics.dropped),
            markdown.pictures(losses),
        ]
    return "\n\n".join(part for part in [*parts, LIMITS] if part)


def _facts(manifest: Manifest) -> dict[str, object]:
    training, prompt = manifest.training, manifest.prompt
    return {
        "Base": f"`{training.base}`",
        "Data": training.data,
        "Prompt": f"`{prompt.style}` version {prompt.version}, {len(prompt.features)} features, "
        f"{training.metrics.prompt_tokens} tokens"
        + f"; begins with {', '.join(prompt.context)}"
        * bool(prompt.context),
        "Precision": training.precision,
        "Epochs": f"{training.epochs:g}",
        "Seed": training.seed,
        "Temperature": f"{manifest.temperature:g}",
        "Served in": _served(manifest),
        "Versions": ", ".join(f"{k} {v}" for k, v in training.versions.items()),
        **{f"Subjects, {part}": ", ".join(names) or "none" for part, names in training.subjects.items()},
    }


def _split(training: Training) -> str:
    """How the recordings were split, what chose epoch and temperature, and how long the weights learnt."""
    if training.split != "subject":
        return AT_RANDOM if training.split == "random" else IN_TIME
    if training.refit and training.metrics.cross_validation is not None:
        chosen = REFIT_BY_FOLDS.format(first=training.metrics.epoch, epochs=training.epochs)
    else:
        chosen = SPLIT + REFIT * training.refit
    return f"{chosen}{TEST * bool(training.subjects['test'])}."


def _served(manifest: Manifest) -> str:
    cost = manifest.int8
    if cost is None:
        return manifest.precision
    return (
        f"{manifest.precision}. On the validation subjects fp32 reaches macro-F1 {cost.macro_f1_fp32:.4f}, int8 "
        f"{cost.macro_f1:.4f}; no probability differs by more than {cost.greatest_difference:.3f}; int8 was "
        f"{cost.speed:.2f} times as fast where the model was trained"
    )


def _crossed(crossed: CrossValidation) -> list[str]:
    """What the same recipe reached on people whom its models never saw; these weights have seen more people."""
    mark = SEEN_BEFORE if crossed.seen_before else ""
    expected = (
        f"The figures to expect on other people: {len(crossed.folds)} models of the same recipe, each judged on "
        "subjects that it has never seen. None of them is this one."
    )
    return [
        f"## {markdown.marked('Cross-validation', mark)}",
        markdown.seen_before(crossed.seen_before) or expected,
        f"```sh\n{crossed.command}\n```",
        markdown.folds(crossed),
        markdown.figures(markdown.marked("Cross-validation, all test windows together", mark), crossed.pooled),
    ]


def _left_out(crossed: CrossValidation) -> list[str]:
    """What the same recipe reached on data sets, places or activities that its models had not learnt from."""
    return [
        f"## Each {crossed.by} left out in turn",
        f"{len(crossed.folds)} models of the same recipe: {markdown.JUDGED[crossed.by]} None of them is this one.",
        f"```sh\n{crossed.command}\n```",
        markdown.folds(crossed),
        markdown.worst(crossed),
        markdown.unknown(crossed),
    ]
