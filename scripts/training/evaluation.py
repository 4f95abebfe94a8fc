"""Any bundle on any labelled recordings → its scores, and the report that a bundle's own card has. Trains nothing.

Baselines are not among it: they need what the bundle was trained on, which its own card tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hard.model.bundle import Manifest
from hard.model.classifier import Backend, load
from training import data, publish, report, sections, strangers
from training.abstaining import recommended
from training.card import leaky
from training.guards import RefusedError
from training.judging import classify
from training.outcome import Outcome, figures, outcome_of
from training.split import LEAKY


def evaluate(
    path: Path,
    files: Sequence[Path],
    *,
    subjects: Sequence[str] | None,
    backend: Backend,
    hop_s: float,
    source: tuple[str | None, float | None, str],
    columns: data.Pairs = (),
    labels: data.Pairs = (),
    out: Path | None = None,
    console: Console | None = None,
) -> Outcome:
    """Prints the scores of the bundle at `path` on `files`, and writes the report to `out`.

    `source` is time unit, rate and unit of the recordings, `columns` and `labels` as `data.load` has
    them. Whatever it says of a subject who helped to make the bundle it marks as leaky.
    Raises BundleError and RefusedError.
    """
    console = console or Console(soft_wrap=True)
    check_out(out)
    classifier = load(str(path), backend)
    manifest = classifier.bundle.manifest
    runs, _ = data.load(files, *source, columns=columns, labels=labels)
    present = list(dict.fromkeys(run.subject for run in runs))
    wanted = present if subjects is None else list(subjects)
    if unknown := [subject for subject in wanted if subject not in present]:
        raise RefusedError(f"subject {unknown[0]!r} is not in the data; there are {', '.join(present)}")
    labelled = data.cut([run for run in runs if run.subject in wanted], classifier.bundle.grid(hop_s=hop_s))
    predictions = classify(classifier, labelled)
    outcome = outcome_of(predictions, labelled.truth.tolist(), classifier.labels, manifest.temperature)
    leak = leak_of(manifest, files, wanted)
    told = figures(outcome)
    name = f"{classifier.bundle.model} by {backend}"
    report.show_score(console, f"{name} (LEAKY)" if leak else name, outcome.score)
    report.show_figures(console, told)
    threshold, chosen = _threshold(manifest, outcome)
    abstaining = publish.abstaining(outcome, threshold, chosen, strangers.confidences(classifier))
    report.show_abstaining(console, abstaining)
    if leak:
        console.print(leak)
    if out is not None:
        intro = [
            f"On {', '.join(file.name for file in files)}, subjects {', '.join(wanted)}, a window every {hop_s:g} s."
        ]
        publish.write_evaluation(
            out,
            outcome,
            title=name,
            intro=intro,
            leaky=leak,
            told={"bundle": classifier.bundle.model, "backend": backend, "figures": told, "abstaining": abstaining},
        )
        console.print(f"wrote {out}")
    return outcome


def leak_of(manifest: Manifest, files: Sequence[Path], subjects: Sequence[str]) -> str:
    """One sentence where the bundle was made with these subjects of these files, else nothing."""
    training = manifest.training
    if not {file.name for file in files} & set(training.data.split(", ")):
        return ""
    if leaky(manifest):
        return f"{LEAKY} when this bundle was made, so it was trained on these very people"
    nobody = "the figures say nothing about others"
    for part, did in (("train", "trained"), ("validation", "its epoch chosen")):
        if known := [subject for subject in subjects if subject in training.subjects.get(part, ())]:
            return f"LEAKY: this bundle was {did} on the subjects {', '.join(known)}; {nobody}"
    return ""


def check_out(out: Path | None) -> None:
    """Raises RefusedError where `out` holds something else."""
    if out is not None and out.exists() and not (out.is_dir() and _is_report(out)):
        raise RefusedError(f"{out} exists and is no report: choose another --out")


def _is_report(folder: Path) -> bool:
    return (folder / publish.REPORT).exists() or not any(folder.iterdir())


def _threshold(manifest: Manifest, outcome: Outcome) -> tuple[float, str]:
    own = manifest.training.metrics.get("abstaining")
    if own:
        return float(own["min_confidence"]), sections.SOURCE_BUNDLE
    return recommended(outcome.confidence, outcome.right), sections.SOURCE_DATA
