"""Outcomes → a report on disk: figures as JSON, a page in Markdown, and PNGs.

Of one fine-tune (into its bundle: manifest, card and pictures), of K folds, or of any bundle's evaluation.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from hard.model import bundle, leakage
from hard.model.figures import Abstaining, CrossValidation, Figures, Record, TrainingMetrics
from training.data.split import Split
from training.errors import RefusedError
from training.evaluation.evaluate import Evaluation
from training.report import markdown, model_card, plots
from training.results.confidence import SOURCE_FOLDS, abstaining, accepted
from training.results.cross_validation import FoldsReport
from training.results.outcome import figures, pooled
from training.results.trial import Trial, metrics_of

REPORT, PAGE = "report.json", "README.md"
OVERLAP = "Windows overlap, so neighbouring windows are not independent: read the figures by subject."


class EvaluationReport(Record, frozen=True, kw_only=True):
    """`report.json` of an evaluation; `perturbations` has macro-F1 by perturbation, the first as recorded."""

    bundle: str
    backend: str
    seen_before: tuple[str, ...]
    rejected: dict[str, int]
    figures: Figures
    abstaining: Abstaining
    perturbations: dict[str, float]


def bundle_metrics(trial: Trial, reports: Collection[FoldsReport] = ()) -> TrainingMetrics:
    """What a bundle's manifest carries: with a cross-validation of its recipe also the figures of that, and the
    threshold chosen over all folds; the share of accepted input that is no activity is the bundle's own."""
    metrics = metrics_of(trial)
    kept = {
        report.by: CrossValidation(**{name: getattr(report, name) for name in CrossValidation.__struct_fields__})
        for report in reports
    }
    metrics = structs.replace(metrics, left_out=tuple(found for by, found in kept.items() if by != "subject"))
    crossed = next((report for report in reports if report.by == "subject"), None)
    if crossed is None:
        return metrics
    own = accepted(trial.out_of_distribution, crossed.abstaining.min_confidence)
    return structs.replace(
        metrics,
        abstaining=structs.replace(crossed.abstaining, no_activity=own, source=SOURCE_FOLDS),
        cross_validation=kept["subject"],
    )


def write_bundle(
    sealed: bundle.Bundle, trial: Trial, metrics: TrainingMetrics, parts: Split, crossed: Path | None = None
) -> None:
    """Figures, card and pictures into the bundle; or the pictures of the cross-validation in `crossed`."""
    training = structs.replace(sealed.manifest.training, metrics=metrics)
    manifest = structs.replace(sealed.manifest, training=training)
    if crossed is None:
        threshold = metrics.abstaining.min_confidence if metrics.abstaining else 0.0
        title = markdown.marked(f"{trial.last} subjects", parts.mark(trial.last))
        plots.draw(sealed.path, trial.parts[trial.last], [trial.history], threshold, title)
    else:
        for picture in plots.ALL:
            shutil.copyfile(crossed / picture, sealed.path / picture)
    card = model_card.model_card(manifest, bool(trial.history or crossed))
    (sealed.path / bundle.CARD).write_text(card, encoding="utf-8")
    bundle.write(sealed.path, manifest)


def write_folds(folder: Path, report: FoldsReport, trials: Sequence[Trial]) -> None:
    """The cross-validation report, with the pictures of all test windows of `trials` together."""
    tests = pooled([trial.parts["test"] for trial in trials])
    histories, threshold = [trial.history for trial in trials], report.abstaining.min_confidence
    mark = leakage.SEEN_BEFORE if report.seen_before else ""
    plots.draw(folder, tests, histories, threshold, markdown.marked(f"{len(trials)} folds, by {report.by}", mark))
    parts = [
        "# " + markdown.marked(f"Cross-validation: {report.name}", mark),
        markdown.seen_before(report.seen_before),
        f"{len(trials)} folds by {report.by}: {markdown.JUDGED[report.by]} In each fold other subjects choose the "
        "epoch and the temperature. Beside the model stand other models: each learnt from the same windows, copies "
        "included.",
        f"```sh\n{report.command}\n```",
        f"Prompts of {report.prompt_tokens} tokens.",
        "## Folds",
        markdown.folds(report),
        markdown.unknown(report),
        markdown.figures(markdown.marked("All test windows together", mark), report.pooled),
        markdown.abstaining(report.abstaining),
        markdown.dropped(report.dropped),
        markdown.pictures(any(trial.history for trial in trials)),
        OVERLAP,
    ]
    _write(folder, report, parts)


def evaluation_report(found: Evaluation) -> EvaluationReport:
    """The figures of an evaluation."""
    outcome = found.outcome
    return EvaluationReport(
        bundle=found.model,
        backend=found.backend,
        seen_before=found.seen_before,
        rejected=dict(found.rejected),
        figures=figures(outcome, found.beside),
        abstaining=abstaining(
            outcome.certainty.counted,
            outcome.right,
            found.threshold,
            found.threshold_source,
            found.out_of_distribution,
        ),
        perturbations={name: round(macro_f1, 4) for name, macro_f1 in found.macro_f1.items()},
    )


def write_evaluation(folder: Path, found: Evaluation, report: EvaluationReport) -> None:
    """One bundle on any data."""
    title, mark = f"{found.model} by {found.backend}", "LEAKY" if found.warning else ""
    rejected = ", ".join(f"{n} × {reason}" for reason, n in found.rejected.most_common()) or "none"
    folder.mkdir(parents=True, exist_ok=True)
    plots.draw(folder, found.outcome, [], found.threshold, markdown.marked(title, mark))
    parts = [
        f"# {markdown.marked(title, mark)}",
        f"**{found.warning}**" if found.warning else "",
        f"On {', '.join(file.name for file in found.files)}, subjects {', '.join(found.subjects)}, a window every "
        f"{found.hop_s:g} s. Rejected records: {rejected}.",
        markdown.figures(markdown.marked("Figures", mark), report.figures),
        markdown.perturbations(report.perturbations, markdown.marked("Other phones and placements", mark)),
        markdown.abstaining(report.abstaining, markdown.marked("Abstaining", mark)),
        markdown.pictures(False),
        OVERLAP,
    ]
    _write(folder, report, parts)


def check_out(out: Path | None) -> None:
    """Raises RefusedError where `out` holds something that is no report."""
    if out is None or not out.exists():
        return
    if not (out.is_dir() and ((out / REPORT).exists() or not any(out.iterdir()))):
        raise RefusedError(f"{out} exists and is no report: choose another --out")


def _write(folder: Path, report: Record, parts: Sequence[str]) -> None:
    text = msgspec.json.format(msgspec.json.encode(report), indent=1)
    (folder / REPORT).write_bytes(text + b"\n")
    (folder / PAGE).write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
