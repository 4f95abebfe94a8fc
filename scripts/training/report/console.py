"""What a person reads on the console: the table before training, the scores after it. The only module that prints
what was read, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from hard.model.bundle import Bundle
from hard.model.figures import Abstaining, CrossValidation, Figures, TrainingMetrics, UnknownActivity
from hard.recordings.recordings import Recording
from hard.recordings.scores import Score
from hard.recordings.scores import table as confusion_table
from training.data.dataset import SplitWindows, hours_of
from training.evaluation.evaluate import Evaluation
from training.report.markdown import left_out, marked, mean, shortened, side_by_side
from training.results.acceptance import requirements
from training.results.states import StatesFit


def show_rejected(console: Console, rejected: Counter[str]) -> None:
    """Rejected records, and files passed over, by reason."""
    if not +rejected:
        console.print("rejected records: none")
        return
    refused = Table("rejected records", "", highlight=False)
    for reason, count in (+rejected).most_common():
        refused.add_row(reason, str(count))
    console.print(refused)


def show_data(console: Console, runs: list[Recording], windows: SplitWindows) -> None:
    """Hours of each activity, its windows in each part, and which subjects are in each part."""
    hours, labelled = hours_of(runs), windows.labelled
    people, groups = windows.split.parts(), windows.split.groups()
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
    several = sorted(set(labelled.truth.tolist()) - set(windows.labels))  # truths that are one of several labels
    for label in (*windows.labels, *several):
        counts = [int((truth == label).sum()) for truth in truths]
        shares = (f"{n} ({n / len(t):.0%})" if n else "0" for n, t in zip(counts, truths, strict=True))
        table.add_row(label, f"{hours.get(label, 0.0):.2f}", *shares)
    table.add_row("windows", "", *(str(len(truth)) for truth in truths))
    _wide(console).print(table)


def show_base(console: Console, base: Bundle, windows: SplitWindows) -> None:
    """Which labels are new to the bundle that is adapted, which it may forget, which judged subjects it has seen."""
    show_seen(console, base, windows.split.seen_before)
    own = base.manifest.labels
    if new := [label for label in windows.present if label not in own]:
        console.print(f"new labels: {', '.join(new)}", highlight=False)
    if lacking := [label for label in own if label not in windows.present]:
        console.print(
            f"the recordings have no {', '.join(lacking)}: the label is kept, but the activity may be forgotten; add "
            "recordings of it, or check with evaluate.py what is left of it",
            highlight=False,
        )


def show_seen(console: Console, base: Bundle, subjects: Sequence[str]) -> None:
    """The judged subjects whom the bundle that is adapted has seen, where there are any."""
    if subjects:
        sentence = (
            f"{base.path.name} has seen the subjects {', '.join(subjects)}; their figures say nothing about others"
        )
        console.print(f"LEAKY: {sentence}", highlight=False, markup=False)


def show_score(console: Console, title: str, result: Score) -> None:
    """One line and the confusion table."""
    console.print(f"{title}: accuracy {result.accuracy:.3f}, macro-F1 {result.macro_f1:.3f} on {result.count} windows")
    console.print(confusion_table(result), highlight=False)


def show_figures(console: Console, figures: Figures) -> None:
    """macro-F1 by subject, the worst named, the calibration error, and the baselines."""
    by_subject = ", ".join(f"{subject}: {f1:.3f}" for subject, f1 in figures.macro_f1_by_subject.items())
    console.print(f"macro-F1 by subject {by_subject}; worst {figures.worst_subject}", highlight=False)
    _show_beside(console, figures)
    if figures.worst_place:
        by_place = ", ".join(f"{place}: {f1:.3f}" for place, f1 in figures.macro_f1_by_place.items())
        console.print(f"macro-F1 by place {by_place}; worst {figures.worst_place}", highlight=False)
    console.print(
        f"expected calibration error {figures.calibration_error:.3f}, before temperature scaling "
        f"{figures.calibration_error_before:.3f}",
        highlight=False,
    )
    if figures.baselines:
        head, *rows = side_by_side(figures)
        table = Table("the same windows and split", *head[1:], highlight=False)
        for row in rows:
            table.add_row(*row)
        _wide(console).print(table)


def show_abstaining(console: Console, abstaining: Abstaining) -> None:
    """The recommended threshold, and what input that is no activity is accepted at it."""
    no_activity = ", ".join(f"{kind} {share:.0%}" for kind, share in abstaining.no_activity.items())
    console.print(
        f"recommended labels.min_confidence {abstaining.min_confidence:.2f}; accepted wrongly: {no_activity}",
        highlight=False,
    )


def show_states(console: Console, found: StatesFit) -> None:
    """How states go on, and how sure that is."""
    console.print(
        f"states: stay {found.stay:g} a second, tempering {found.states.tempering:g}; cross entropy {found.loss:.4f} "
        f"over {found.subjects} subjects; without one of them, {found.unsure} times another choice",
        highlight=False,
    )


def show_metrics(console: Console, metrics: TrainingMetrics) -> None:
    """The end of a fine-tune: figures of each part, the threshold, and what every fine-tune must show."""
    for part in ("validation", "test", "train"):
        if part in metrics.parts:
            show_figures(console, metrics.parts[part])
    if metrics.abstaining is not None:
        show_abstaining(console, metrics.abstaining)
    _show_unknown(console, "dropped", metrics.dropped)
    if metrics.macro_f1_by_rate:
        by_rate = ", ".join(f"{rate_hz:g} Hz: {reached:.3f}" for rate_hz, reached in metrics.macro_f1_by_rate)
        console.print(f"macro-F1 by sample rate {by_rate}", highlight=False)
    table = Table("every fine-tune must show", "this one", "met")
    for requirement in requirements(metrics):
        table.add_row(*requirement)
    wide = _wide(console)
    wide.print(table)
    samples = Table("a window of", "is labelled", "writes freely", "prompt")
    for s in metrics.samples:
        samples.add_row(s.truth, f"{s.label} ({s.confidence:.2f})", s.generated, shortened(s.prompt))
    wide.print(samples)


def show_evaluation(console: Console, found: Evaluation, figures: Figures, abstaining: Abstaining) -> None:
    """A bundle on any recordings; `figures` and `abstaining` are those of its outcome."""
    show_rejected(console, found.rejected)
    title = marked(f"{found.model} by {found.backend}", "LEAKY" if found.seen_before else "")
    show_score(console, title, found.outcome.score)
    show_figures(console, figures)
    show_abstaining(console, abstaining)
    if len(found.macro_f1) > 1:
        table = Table("the same recordings", "macro-F1", "change")
        plain = next(iter(found.macro_f1.values()))
        for name, reached in found.macro_f1.items():
            table.add_row(name, f"{reached:.3f}", f"{reached - plain:+.3f}")
        console.print(table)
    if found.warning:
        console.print(found.warning)


def show_folds(console: Console, crossed: CrossValidation) -> None:
    """Folds as a table, then mean and standard error of model and baselines."""
    names = list(crossed.baselines_over_folds)
    table = Table("fold", left_out(crossed), "accuracy", "macro-F1", *names, "worst subject")
    for i, fold in enumerate(crossed.folds, 1):
        table.add_row(
            str(i),
            fold.left_out or " ".join(fold.subjects),
            f"{fold.accuracy:.3f}",
            f"{fold.macro_f1:.3f}",
            *(f"{fold.baselines[name].macro_f1:.3f}" for name in names),
            f"{fold.worst_subject}: {fold.macro_f1_by_subject[fold.worst_subject]:.3f}",
        )
    over = crossed.over_folds
    means = [over["accuracy"], over["macro_f1"], *(crossed.baselines_over_folds[name] for name in names)]
    table.add_row("mean", "", *map(mean, means), "")
    _wide(console).print(table)
    for name, a in crossed.against.items():
        gap = f"{a.mean:+.3f} ± {a.standard_error:.3f}"
        console.print(f"{name}: {a.verdict}, macro-F1 {gap} over folds", highlight=False)
    _show_unknown(console, "left out", crossed.unknown)
    _show_unknown(console, "dropped", crossed.dropped)
    console.print(f"all test windows together: {in_short(crossed.pooled)}", highlight=False)
    _show_beside(console, crossed.pooled)


def _show_unknown(console: Console, why: str, unknown: Mapping[str, UnknownActivity]) -> None:
    for name, found in unknown.items():
        console.print(
            f"{name} {why}: AUROC {found.auroc:.3f}, of familiar {found.auroc_familiar:.3f}, of both "
            f"{found.auroc_both:.3f}; accepted {found.accepted:.0%} of {found.windows} windows",
            highlight=False,
        )


def _show_beside(console: Console, figures: Figures) -> None:
    for name, other in figures.beside.items():
        console.print(f"{name}: macro-F1 {other.macro_f1:.3f} on {other.windows} windows", highlight=False)


def in_short(figures: Figures) -> str:
    """Accuracy and macro-F1 in a few words, baselines after."""
    others = "".join(f", {name} {baseline.macro_f1:.3f}" for name, baseline in figures.baselines.items())
    return f"accuracy {figures.accuracy:.3f}, macro-F1 {figures.macro_f1:.3f}{others}"


def _wide(console: Console) -> Console:
    """For tables whose cells, in pieces, can't be read."""
    return Console(file=console.file, width=max(console.width, 130))
