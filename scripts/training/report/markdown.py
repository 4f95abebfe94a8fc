"""Figures → the sections of a card or report, in Markdown. Pure; a section without figures is empty."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from hard.model import leakage
from hard.model.bundle import PARENTS
from hard.model.figures import (
    Abstaining,
    BaselineFigures,
    Comparison,
    CrossValidation,
    Figures,
    FoldsBy,
    Mean,
    ShortFigures,
    TrainingMetrics,
    UnknownActivity,
)
from training.report import plots
from training.results.acceptance import requirements
from training.results.outcome import LAGS_S, PLACED


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; figures as they come."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def marked(title: str, mark: str) -> str:
    """A heading with its `mark` in brackets, where there is one."""
    return f"{title} ({mark})" if mark else title


def seen_before(subjects: Sequence[str]) -> str:
    """A sentence where the bundle that was adapted has seen people who were held out."""
    return f"**{leakage.SEEN_BEFORE}: {', '.join(subjects)}.**" if subjects else ""


def facts(rows: Mapping[str, object]) -> str:
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def figures(title: str, found: Figures) -> str:
    """In one line, by label, by place, by subject."""
    worst, place = found.worst_subject, found.worst_place
    by_place = f" Worst place: {place}, macro-F1 {found.macro_f1_by_place[place]:.3f}." if place else ""
    beside = {name: found.beside[name].macro_f1_by_place for name in (PLACED, *LAGS_S) if name in found.beside}
    return "\n\n".join(
        (
            f"## {title}",
            f"{found.windows} windows. Accuracy {found.accuracy:.3f}, macro-F1 {found.macro_f1:.3f}. Expected "
            f"calibration error {found.calibration_error:.3f}, before temperature scaling "
            f"{found.calibration_error_before:.3f}. Worst subject: {worst}, macro-F1 "
            f"{found.macro_f1_by_subject[worst]:.3f}.{by_place}",
            table(("label", "F1"), ((label, f"{f1:.3f}") for label, f1 in found.f1.items())),
            *([_beside(found)] if found.beside else []),
            *([_by("place", found.macro_f1_by_place, place, beside)] if place else []),
            _by("subject", found.macro_f1_by_subject, worst),
        )
    )


def _beside(found: Figures) -> str:
    rows: list[tuple[str, ShortFigures]] = [("all, streaming", found), *found.beside.items()]
    return table(
        ("windows", "", "accuracy", "macro-F1", "calibration error"),
        (
            (name, one.windows, f"{one.accuracy:.3f}", f"{one.macro_f1:.3f}", f"{one.calibration_error:.3f}")
            for name, one in rows
        ),
    )


def _by(
    what: str, macro_f1: Mapping[str, float], worst: str, beside: Mapping[str, Mapping[str, float]] | None = None
) -> str:
    others = beside or {}
    rows = (
        (
            f"**{name}** (worst)" if name == worst else name,
            *(f"{column[name]:.3f}" for column in (macro_f1, *others.values())),
        )
        for name in macro_f1
    )
    return table((what, "macro-F1", *others), rows)


def side_by_side(found: Figures) -> list[list[str]]:
    """A table of this model and its baselines: a head, then a row a figure."""
    columns: dict[str, Figures | BaselineFigures] = {"this model": found, **found.baselines}
    rows = [
        ["accuracy", *(f"{column.accuracy:.3f}" for column in columns.values())],
        ["macro-F1", *(f"{column.macro_f1:.3f}" for column in columns.values())],
        *([label, *(f"{column.f1[label]:.3f}" for column in columns.values())] for label in found.f1),
    ]
    return [["", *columns], *rows]


def baselines(title: str, found: Figures) -> str:
    """The same windows and split, other models."""
    if not found.baselines:
        return ""
    head, *rows = side_by_side(found)
    return f"## {title}\n\n" + table(head, rows)


def acceptance(metrics: TrainingMetrics) -> str:
    """What every fine-tune must show, and a sample of each label."""
    if not (rows := requirements(metrics)):
        return ""
    samples = (
        (s.truth, f"{s.label} ({s.confidence:.2f})", s.generated, f"`{shortened(s.prompt)}`") for s in metrics.samples
    )
    return "\n\n".join(
        (
            "## What every fine-tune must show",
            table(("", "this one", "met"), rows),
            table(("a window of", "is labelled", "writes freely", "prompt"), samples),
        )
    )


def shortened(prompt: str, characters: int = 100) -> str:
    """The prompt, cut off to a table's width."""
    return prompt if len(prompt) <= characters else prompt[: characters - 1] + "…"


def perturbations(macro_f1: Mapping[str, float], title: str) -> str:
    """macro-F1 by perturbation, the first as recorded; empty where there is no other."""
    if len(macro_f1) < 2:
        return ""
    rows = ((name, f"{reached:.3f}") for name, reached in macro_f1.items())
    return f"## {title}\n\n" + table(("the same recordings", "macro-F1"), rows)


def rates(macro_f1: Sequence[tuple[float, float]], least_rate_hz: float | None) -> str:
    """macro-F1 by sample rate; empty where it wasn't measured."""
    if not macro_f1:
        return ""
    rows = ((f"{rate_hz:g} Hz", f"{reached:.3f}") for rate_hz, reached in macro_f1)
    least = f"The least rate at which it is good: **{least_rate_hz:g} Hz**." if least_rate_hz else "It is good at none."
    return (
        "## Sample rates\n\nThe same people's recordings as slower devices would have given them, labelled as the "
        f"daemon would. {least}\n\n" + table(("sample rate", "macro-F1"), rows)
    )


JUDGED: dict[FoldsBy, str] = {
    "subject": "every subject is judged once, by a model that has never seen them.",
    "dataset": "every data set is judged by a model that has learnt from the others alone.",
    "place": "every place is judged by a model that has learnt from other places alone; it may have seen the same "
    "people there.",
    "activity": "every activity is shown to a model that has learnt the others alone; the figures are those of known "
    "activities, on people whom no model has seen.",
}


def folds(crossed: CrossValidation) -> str:
    """A row a fold, then model against baselines."""
    names = list(crossed.baselines_over_folds)
    rows: list[Sequence[object]] = [
        [
            i,
            fold.left_out or ", ".join(fold.subjects),
            f"{fold.accuracy:.3f}",
            f"{fold.macro_f1:.3f}",
            *(f"{fold.baselines[name].macro_f1:.3f}" for name in names),
            f"{fold.calibration_error:.3f}",
            fold.epoch,
        ]
        for i, fold in enumerate(crossed.folds, 1)
    ]
    over = crossed.over_folds
    means = [over["accuracy"], over["macro_f1"], *crossed.baselines_over_folds.values(), over["calibration_error"]]
    rows.append(["mean ± standard error", "", *map(mean, means), ""])
    head = ["fold", left_out(crossed), "accuracy", "macro-F1", *names, "calibration error", "epoch"]
    return "\n\n".join(part for part in (table(head, rows), compared(crossed.against)) if part)


def worst(crossed: CrossValidation) -> str:
    """The worst data set or place left out, by name, and the worst person."""
    low, pooled = min(crossed.folds, key=lambda fold: fold.macro_f1), crossed.pooled
    person = (
        f"Worst person: **{pooled.worst_subject}**, macro-F1 {pooled.macro_f1_by_subject[pooled.worst_subject]:.3f}."
    )
    if crossed.by not in ("dataset", "place"):
        return person
    what = "data set" if crossed.by == "dataset" else crossed.by
    return f"Worst {what}: **{low.left_out}**, macro-F1 {low.macro_f1:.3f}. {person}"


def left_out(crossed: CrossValidation) -> str:
    """What each fold is named by."""
    return "test subjects" if crossed.by == "subject" else "left out"


def unknown(crossed: CrossValidation) -> str:
    """How certain the models are of activities that they have never learnt; empty where none was left out. Those of
    which a sibling under one parent was learnt stand apart."""
    siblings = with_siblings(crossed.unknown)
    whole, others = (
        {name: found for name, found in crossed.unknown.items() if (name in siblings) == apart}
        for apart in (False, True)
    )
    parts = []
    if crossed.unknown:
        parts.append(
            "Windows of the activity left out, of people whom the model has never seen. AUROC is how likely its "
            "confidence in one is below that in a window of a known activity; the same of how familiar it is, and of "
            "both: the confidence, less in proportion where a window is not familiar enough."
        )
    if whole:
        parts.append(_unknown("left out", whole))
    if others:
        parts += ["The same of labels while others of their parent are known:", _unknown("left out", others)]
    return "\n\n".join(parts)


def with_siblings(names: Collection[str]) -> set[str]:
    """Those of `names` that share a parent with another."""
    shared = (set(names) & set(of) for of in PARENTS.values())
    return {name for group in shared if len(group) > 1 for name in group}


def dropped(found: Mapping[str, UnknownActivity]) -> str:
    """How certain the model is of labels that were dropped from its data; empty where none was."""
    if not found:
        return ""
    return (
        "Windows of labels that were left out of the data, of people whom the model has never seen: none of its labels "
        "is right. It has learnt to doubt such windows of other people.\n\n" + _unknown("dropped label", found)
    )


def _unknown(what: str, found: Mapping[str, UnknownActivity]) -> str:
    rows = (
        (
            name,
            one.windows,
            *(f"{share:.3f}" for share in (one.auroc, one.auroc_familiar, one.auroc_both)),
            f"{one.accepted:.1%}",
        )
        for name, one in found.items()
    )
    return table((what, "windows", "AUROC of confidence", "of familiar", "of both", "accepted"), rows)


def mean(found: Mean) -> str:
    return f"{found.mean:.3f} ± {found.standard_error:.3f}"


def compared(against: Mapping[str, Comparison]) -> str:
    """The model less each baseline."""
    if not against:
        return ""
    rows = ((name, f"{a.mean:+.3f} ± {a.standard_error:.3f}", a.verdict) for name, a in against.items())
    return (
        "Model less baseline in macro-F1, mean over folds ± standard error; above or below is claimed only where the "
        "mean exceeds it.\n\n" + table(("baseline", "difference", "the model is"), rows)
    )


def abstaining(found: Abstaining, title: str = "Abstaining") -> str:
    """The recommended threshold, the curve, and what input that is no activity is accepted."""
    curve = table(
        ("labels.min_confidence", "windows accepted", "of these, right"),
        ((f"{threshold:.2f}", f"{coverage:.1%}", f"{accuracy:.1%}") for threshold, coverage, accuracy in found.curve),
    )
    chosen = f"Recommended `labels.min_confidence`: **{found.min_confidence:.2f}**, {found.source}."
    parts = [f"## {title}", chosen, curve]
    if found.no_activity:
        rows = ((kind, f"{share:.1%}") for kind, share in found.no_activity.items())
        no_activity = table(("input", "accepted"), rows)
        parts.append(f"At the recommended thresholds, of input that is no activity or wrongly sent:\n\n{no_activity}")
    return "\n\n".join(parts)


def pictures(losses: bool) -> str:
    shown = {"Confusion": plots.CONFUSION, "Reliability": plots.RELIABILITY, "Coverage": plots.COVERAGE}
    if losses:
        shown = {"Losses": plots.LOSSES, **shown}
    return "\n\n".join(f"![{name}]({file})" for name, file in shown.items())
