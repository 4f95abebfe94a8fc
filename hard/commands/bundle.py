"""`hard bundle show|verify DIR`: prints what a bundle holds, or whether its parts agree."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from hard.model import leakage
from hard.model.bundle import Bundle, BundleError, Int8, Training, find, read, verify
from hard.model.classifier import Classifier

WIDTH = 110  # characters of a line


def main(args: argparse.Namespace) -> int:
    """Prints the bundle's manifest for people, or every problem found; exit code 2 when there is one."""
    path = find(args.dir)
    if args.action == "verify":
        return _verify(path)
    print(_overview(read(path)))
    return 0


def _verify(path: Path) -> int:
    problems = verify(path)
    if not problems:
        try:
            model = Classifier(read(path)).bundle.model
        except BundleError as error:
            problems = [str(error)]
        else:
            print(f"{path}: {model} is sound")
    for problem in problems:
        print(f"hard: {problem}", file=sys.stderr)
    return 2 if problems else 0


def _overview(bundle: Bundle) -> str:
    manifest, prompt, training = bundle.manifest, bundle.manifest.prompt, bundle.manifest.training
    size = sum((bundle.path / name).stat().st_size for name in manifest.files)
    rows = {
        "model": bundle.model,
        "folder": str(bundle.path),
        "size": f"{size / 1e6:.1f} MB in {len(manifest.files)} files",
        "labels": ", ".join(manifest.labels),
        "window": f"{manifest.window.length_s:g} s at {manifest.window.rate_hz:g} Hz, {manifest.window.unit}",
        "prompt": f"style {prompt.style}, version {prompt.version}, {len(prompt.features)} features",
        "context words": ", ".join(prompt.context) or "none",
        "temperature": f"{manifest.temperature:g}",
        "states": _states(bundle),
        "least rate": f"{bundle.least_rate_hz:g} Hz" if bundle.least_rate_hz else "not measured",
        "served in": manifest.precision + (f"; int8: {_int8_figures(manifest.int8)}" if manifest.int8 else ""),
        "made by": training.command,
        "base": training.base,
        "data": training.data,
        **{f"subjects, {part}": ", ".join(subjects) or "none" for part, subjects in training.subjects.items()},
        "windows learnt from": ", ".join(f"{label} {n}" for label, n in training.windows.items()),
        "epochs": f"{training.epochs:g}",
        "seed": str(training.seed),
        "precision": training.precision,
        "versions": ", ".join(f"{name} {version}" for name, version in training.versions.items()),
        **_figures(training),
        **_recommended(bundle),
    }
    gap = max(map(len, rows)) + 2
    ends = {"made by": " \\"}  # so that a copied command stays one command
    return "\n".join(f"{name.ljust(gap)}{_wrapped(value, gap, ends.get(name, ''))}" for name, value in rows.items())


def _recommended(bundle: Bundle) -> dict[str, str]:
    recommended = {}
    if bundle.manifest.training.metrics.abstaining:
        recommended["labels.min_confidence"] = bundle.min_confidence("bundle")
    if bundle.manifest.familiarity:
        recommended["labels.min_familiar"] = bundle.min_familiar("bundle")
    text = ", ".join(f"{name} {value:g}" for name, value in recommended.items())
    return {"recommended": text} if text else {}


def _states(bundle: Bundle) -> str:
    states = bundle.states()
    stays = sorted(row[i] for i, row in enumerate(states.transition))
    share = f"{stays[0]:g}" if stays[0] == stays[-1] else f"{stays[0]:g} to {stays[-1]:g}"
    return f"a label holds another second with {share}, tempering {states.tempering:g}; parents: " + (
        ", ".join(bundle.parents()) or "none"
    )


def _wrapped(value: str, gap: int, end: str = "") -> str:
    """`value` in lines that fit a terminal, under each other; `end` closes each but the last."""
    lines = textwrap.wrap(value, WIDTH - gap - len(end), break_long_words=False, break_on_hyphens=False)
    return f"{end}\n{' ' * gap}".join(lines)


def _figures(training: Training) -> dict[str, str]:
    """A row for each part that was scored, with the figures that compare bundles; the model card has all figures."""
    metrics = training.metrics
    marks = {part: f" ({mark})" for part in metrics.parts if (mark := leakage.mark_of(training, part))}
    scored = {
        **metrics.parts,
        **({"cross-validation": crossed.pooled} if (crossed := metrics.cross_validation) else {}),
    }
    rows: dict[str, str] = {}
    for name, figures in scored.items():
        rows[f"figures, {name}"] = (
            f"macro-F1 {figures.macro_f1:.3f}, accuracy {figures.accuracy:.3f} on {figures.windows} windows"
            f"{marks.get(name, '')}"
        )
        beside = {what: other.macro_f1 for what, other in figures.beside.items()}
        rows |= _listed({f"{name}, beside": beside, f"{name}, by place": figures.macro_f1_by_place})
    for crossed in metrics.left_out:
        known = {fold.left_out: fold.macro_f1 for fold in crossed.folds}
        auroc = {f"{name} (AUROC)": found.auroc_both for name, found in crossed.unknown.items()}
        rows |= _listed({f"left out, {crossed.by}": auroc or known})
    return rows


def _listed(columns: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """A row for each of `columns` that holds figures."""
    return {
        name: ", ".join(f"{what} {figure:.3f}" for what, figure in column.items())
        for name, column in columns.items()
        if column
    }


def _int8_figures(int8: Int8) -> str:
    lost = int8.macro_f1_fp32 - int8.macro_f1
    return f"macro-F1 {-lost:+.4f} on the validation subjects, {int8.speed:g} times as fast where it was trained"
