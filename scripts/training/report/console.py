"""What a person reads on the console: the table before training, the scores after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hard.recordings.recordings import Recording
from hard.recordings.scores import Score
from hard.recordings.scores import table as confusion_table
from training.data.loading import Labelled
from training.data.split import Split
from training.results.outcome import side_by_side
from training.results.promises import promises, shortened


def show_data(
    console: Console,
    runs: Sequence[Recording],
    *,
    labelled: Labelled,
    labels: Sequence[str],
    split: Split,
) -> None:
    """Hours of each activity, its windows in each part, and who is in each part."""
    hours = hours_of(runs)
    people, groups = split.parts(), split.groups()
    console.print(
        f"{len({run.subject for run in runs})} subjects, {sum(hours.values()):.1f} hours in {len(runs)} runs, "
        f"{len(labelled)} windows of one activity",
        highlight=False,
    )
    table = Table("", "hours", *people, highlight=False)
    table.add_row(
        "subjects", "", *(f"{len(names)}: {' '.join(names)}" if names else "none" for names in people.values())
    )
    truths = [labelled.of(group).truth for group in groups.values()]
    for label in labels:
        counts = [int((truth == label).sum()) for truth in truths]
        shares = (f"{n} ({n / len(t):.0%})" if n else "0" for n, t in zip(counts, truths, strict=True))
        table.add_row(label, f"{hours[label]:.2f}", *shares)
    table.add_row("windows", "", *(str(len(truth)) for truth in truths))
    _wide(console).print(table)


def show_rejected(console: Console, rejected: Counter[str]) -> None:
    """Rejected records, and files passed over, by reason."""
    if not +rejected:
        console.print("rejected records: none")
        return
    refused = Table("rejected records", "", highlight=False)
    for reason, count in (+rejected).most_common():
        refused.add_row(reason, str(count))
    console.print(refused)


def hours_of(runs: Sequence[Recording]) -> Counter[str]:
    """Hours recorded of each truth."""
    found: Counter[str] = Counter()
    for run in runs:
        if run.truth is not None and len(run.time) > 1:
            each_s = (run.time[-1] - run.time[0]) / (len(run.time) - 1)
            for truth, count in zip(*np.unique(run.truth, return_counts=True), strict=True):
                found[str(truth)] += float(count * each_s) / 3600
    return found


def show_figures(console: Console, metrics: dict[str, Any]) -> None:
    """macro-F1 by subject, the worst named, the calibration error, and the baselines."""
    by_subject = metrics["macro_f1_by_subject"]
    told = ", ".join(f"{subject}: {f1:.3f}" for subject, f1 in by_subject.items())
    console.print(f"macro-F1 by subject {told}; worst {metrics['worst_subject']}", highlight=False)
    console.print(
        f"expected calibration error {metrics['calibration_error']:.3f}, before temperature scaling "
        f"{metrics['calibration_error_before']:.3f}",
        highlight=False,
    )
    if "baselines" in metrics:
        head, *rows = side_by_side(metrics)
        table = Table("the same windows and split", *head[1:], highlight=False)
        for row in rows:
            table.add_row(*row)
        _wide(console).print(table)


def show_abstaining(console: Console, told: dict[str, Any]) -> None:
    """The recommended threshold, what it accepts, and what input that is no activity gets past it."""
    strangers = ", ".join(f"{kind} {share:.0%}" for kind, share in told["no_activity"].items())
    console.print(
        f"recommended labels.min_confidence {told['min_confidence']:.2f}; no activity, yet accepted: {strangers}",
        highlight=False,
    )


def show_conditions(console: Console, macro_f1: dict[str, float]) -> None:
    """macro-F1 by condition, the first as recorded, and how far each lies from that."""
    table = Table("the same recordings", "macro-F1", "change")
    plain = next(iter(macro_f1.values()))
    for name, reached in macro_f1.items():
        table.add_row(name, f"{reached:.3f}", f"{reached - plain:+.3f}")
    console.print(table)


def show_score(console: Console, title: str, result: Score) -> None:
    """One line and the confusion table."""
    console.print(f"{title}: accuracy {result.accuracy:.3f}, macro-F1 {result.macro_f1:.3f} on {result.count} windows")
    console.print(confusion_table(result), highlight=False)


def show_promises(console: Console, told: dict[str, Any], accuracy: float) -> None:
    """What every fine-tune must show, with a sample of each label, as `promises` has it."""
    table = Table("every fine-tune must show", "this one", "kept")
    for row in promises(told, accuracy):
        table.add_row(*row)
    wide = _wide(console)
    wide.print(table)
    samples = Table("a window of", "is labelled", "writes freely", "prompt")
    for s in told["samples"]:
        samples.add_row(s["truth"], f"{s['label']} ({s['confidence']:.2f})", s["generated"], shortened(s["prompt"]))
    wide.print(samples)


def show_folds(console: Console, told: dict[str, Any]) -> None:
    """Folds as a table, then mean and standard error of model and baselines."""
    names = list(told["baselines_over_folds"])
    table = Table("fold", "test subjects", "accuracy", "macro-F1", *names, "worst subject")
    for i, fold in enumerate(told["folds"], 1):
        worst = fold["worst_subject"]
        table.add_row(
            str(i),
            " ".join(fold["subjects"]),
            f"{fold['accuracy']:.3f}",
            f"{fold['macro_f1']:.3f}",
            *(f"{fold['baselines'][name]['macro_f1']:.3f}" for name in names),
            f"{worst}: {fold['macro_f1_by_subject'][worst]:.3f}",
        )
    over = told["over_folds"]
    cells = [over["accuracy"], over["macro_f1"], *(told["baselines_over_folds"][name] for name in names)]
    table.add_row("mean", "", *(f"{c['mean']:.3f} ± {c['standard_error']:.3f}" for c in cells), "")
    _wide(console).print(table)
    for name, a in told["against"].items():
        gap = f"{a['mean']:+.3f} ± {a['standard_error']:.3f}"
        console.print(f"{name}: {a['verdict']}, macro-F1 {gap} over folds", highlight=False)
    console.print(f"all test windows together: {in_short(told['pooled'])}", highlight=False)


def in_short(figures: dict[str, Any]) -> str:
    """Accuracy and macro-F1 in a few words, baselines after."""
    others = "".join(f", {name} {b['macro_f1']:.3f}" for name, b in figures.get("baselines", {}).items())
    return f"accuracy {figures['accuracy']:.3f}, macro-F1 {figures['macro_f1']:.3f}{others}"


def _wide(console: Console) -> Console:
    """For tables whose cells, in pieces, can't be read."""
    return Console(file=console.file, width=max(console.width, 130))
