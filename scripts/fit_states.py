#!/usr/bin/env python3
"""Fits a bundle's transition matrix and tempering to labelled recordings and writes them into its `hard.json`.

    scripts/fit_states.py hard/bundles/default motionsense_50hz_raw.txt.xz

It labels the recordings as the daemon would. Best are people whom the bundle has not seen: to those that it learnt from
its labels are more certain. It then prints macro-F1 of the labels, of the majority and of the states, on the same
windows.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from msgspec import structs
from training.results.states import Labelled, fit, scored

from hard.commands.arguments import positive
from hard.commands.label import label
from hard.commands.states import follow
from hard.daemon.wiring import make_acceptance, make_smoother
from hard.errors import HardError
from hard.model import bundle, leakage
from hard.model.bundle import Bundle
from hard.model.classifier import load
from hard.recordings import recordings, scores
from hard.settings import IngestSection, LabelsSection

WAYS = {
    "majority": LabelsSection(min_confidence=0.0, smoothing="majority"),
    "states at 0 s lag": LabelsSection(min_confidence=0.0),
    "states at 2 s lag": LabelsSection(min_confidence=0.0, lag_s=2.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", nargs="+", type=Path, help="WISDM text, CSV or Parquet, with truth")
    parser.add_argument("--unit", help="of the accelerations (m/s2)")
    parser.add_argument("--hop", type=positive, default=1.0, help="from one window to the next in s (1)")
    args = parser.parse_args()
    try:
        classifier = load(args.bundle)
        runs = [run for file in args.data for run in recordings.read(file, unit=args.unit)[0]]
        labelled = list(label(classifier, runs, args.hop))
        found = fit(labelled, classifier.labels, args.hop)
        made = bundle.write(classifier.bundle.path, structs.replace(classifier.bundle.manifest, states=found.states))
    except HardError as error:
        print(f"fit_states.py: {error}", file=sys.stderr)
        return error.exit_code
    print(
        f"stay {found.stay:g} a second, tempering {found.states.tempering:g}: cross entropy {found.loss:.4f} over "
        f"{found.subjects} subjects; without one of them, {found.unsure} times another choice"
    )
    for name, macro_f1 in compare(made, labelled, args.hop).items():
        print(f"{name}: macro-F1 {macro_f1:.4f}")
    if warning := leakage.warning(made.manifest.training, args.data, list(dict.fromkeys(run.subject for run in runs))):
        print(warning)
    return 0


def compare(made: Bundle, labelled: list[Labelled], hop_s: float) -> dict[str, float]:
    """Macro-F1 of the labels and of WAYS."""
    given = {"labels": [(one, prediction.label) for one, prediction in labelled]}
    for name, section in WAYS.items():
        section = section.model_copy(update={"hop_s": hop_s})  # noqa: PLW2901
        smoother, acceptance = make_smoother(section, made), make_acceptance(section, made)
        steps = follow(labelled, smoother, acceptance=acceptance, silent_after_s=IngestSection().silent_after_s)
        given[name] = [(one, state.label) for step in steps for one, state in step.windows]
    return {name: scores.score(*scored(pairs), made.manifest.labels).macro_f1 for name, pairs in given.items()}


if __name__ == "__main__":
    sys.exit(main())
