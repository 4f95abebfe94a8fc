"""Figures → the sections of a card or report, in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hard.model import leakage
from training.report import plots
from training.results.abstaining import RULE
from training.results.outcome import side_by_side
from training.results.promises import promises as kept
from training.results.promises import shortened

SHOWN = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # thresholds of the coverage table


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; figures as they come."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def marked(title: str, mark: str) -> str:
    """A heading with its `mark` in brackets, where there is one."""
    return f"{title} ({mark})" if mark else title


def seen_before(subjects: Sequence[str]) -> str:
    """A sentence where the bundle that was adapted has seen people who were held out; else nothing."""
    return f"**{leakage.SEEN_BEFORE}: {', '.join(subjects)}.**" if subjects else ""


def facts(told: dict[str, Any]) -> str:
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in told.items())


def figures(title: str, told: dict[str, Any]) -> str:
    """`told` as `outcome.figures` gives it: in one line, by label, by subject."""
    worst = told["worst_subject"]
    return "\n\n".join(
        (
            f"## {title}",
            f"{told['windows']} windows. Accuracy {told['accuracy']:.3f}, macro-F1 {told['macro_f1']:.3f}. Expected "
            f"calibration error {told['calibration_error']:.3f}, before temperature scaling "
            f"{told['calibration_error_before']:.3f}. Worst subject: {worst}, macro-F1 "
            f"{told['macro_f1_by_subject'][worst]:.3f}.",
            table(("label", "F1"), ((label, f"{f1:.3f}") for label, f1 in told["f1"].items())),
            table(
                ("subject", "macro-F1"),
                (
                    (f"**{subject}** (worst)" if subject == worst else subject, f"{f1:.3f}")
                    for subject, f1 in told["macro_f1_by_subject"].items()
                ),
            ),
        )
    )


def baselines(title: str, told: dict[str, Any]) -> str:
    """The same windows and split, other models; nothing where there are none."""
    if "baselines" not in told:
        return ""
    head, *rows = side_by_side(told)
    return f"## {title}\n\n" + table(head, rows)


def promises(told: dict[str, Any], accuracy: float) -> str:
    """What every fine-tune must show, and a sample of each label; nothing where a bundle does not tell."""
    if "losses" not in told:
        return ""
    samples = (
        (s["truth"], f"{s['label']} ({s['confidence']:.2f})", s["generated"], f"`{shortened(s['prompt'])}`")
        for s in told["samples"]
    )
    return "\n\n".join(
        (
            "## What every fine-tune must show",
            table(("", "this one", "kept"), kept(told, accuracy)),
            table(("a window of", "is labelled", "writes freely", "prompt"), samples),
        )
    )


def conditions(told: dict[str, float], title: str = "") -> str:
    """macro-F1 by condition, the first as recorded; nothing where there is no other."""
    if len(told) < 2:
        return ""
    rows = ((name, f"{macro_f1:.3f}") for name, macro_f1 in told.items())
    return f"## {title or 'Other phones and placements'}\n\n" + table(("the same recordings", "macro-F1"), rows)


def folds(told: dict[str, Any]) -> str:
    """`told` as `folds.summary` gives it: a row a fold, then model against baselines."""
    names = list(told["baselines_over_folds"])
    rows = [
        [
            i,
            ", ".join(fold["subjects"]),
            f"{fold['accuracy']:.3f}",
            f"{fold['macro_f1']:.3f}",
            *(f"{fold['baselines'][name]['macro_f1']:.3f}" for name in names),
            f"{fold['calibration_error']:.3f}",
            fold["epoch"],
        ]
        for i, fold in enumerate(told["folds"], 1)
    ]
    over = told["over_folds"]
    spread = [over["accuracy"], over["macro_f1"], *told["baselines_over_folds"].values(), over["calibration_error"]]
    rows.append(["mean ± standard error", "", *(f"{c['mean']:.3f} ± {c['standard_error']:.3f}" for c in spread), ""])
    head = ["fold", "test subjects", "accuracy", "macro-F1", *names, "calibration error", "epoch"]
    return "\n\n".join(part for part in (table(head, rows), compared(told["against"])) if part)


def compared(against: dict[str, dict[str, Any]]) -> str:
    """Nothing where there are no baselines."""
    if not against:
        return ""
    rows = [(name, f"{a['mean']:+.3f} ± {a['standard_error']:.3f}", a["verdict"]) for name, a in against.items()]
    return (
        "Model less baseline in macro-F1, mean over folds ± standard error; above or below is claimed only where the "
        "mean exceeds it.\n\n" + table(("baseline", "difference", "the model is"), rows)
    )


def abstaining(told: dict[str, Any], title: str = "Abstaining") -> str:
    """`told` as `report.abstaining` gives it."""
    curve = table(
        ("labels.min_confidence", "windows accepted", "of these, right"),
        ((f"{t:.2f}", f"{coverage:.1%}", f"{accuracy:.1%}") for t, coverage, accuracy in told["curve"]),
    )
    strangers = table(
        ("input that is no activity", "accepted"), ((k, f"{share:.1%}") for k, share in told["no_activity"].items())
    )
    chosen = f"Recommended `labels.min_confidence`: **{told['min_confidence']:.2f}**, {told['source']}."
    parts = [f"## {title}", chosen, curve]
    if told["no_activity"]:
        parts.append(f"At the recommended threshold, of 200 windows of each kind:\n\n{strangers}")
    return "\n\n".join(parts)


def pictures(losses: bool) -> str:
    shown = {"Confusion": plots.CONFUSION, "Reliability": plots.RELIABILITY, "Coverage": plots.COVERAGE}
    if losses:
        shown = {"Losses": plots.LOSSES, **shown}
    return "\n\n".join(f"![{name}]({file})" for name, file in shown.items())


SOURCE_OWN = RULE
SOURCE_FOLDS = f"over all folds of the cross-validation: {RULE}"
SOURCE_DATA = f"on these very data, for the bundle recommends none: {RULE}"
SOURCE_BUNDLE = "as the bundle's own report chose it on its validation subjects"
