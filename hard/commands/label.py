"""`hard label FILE`: labels a recording through the daemon's own windows and classifier, without any broker.

One JSON object a window on standard output; progress, what was rejected and the score on standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from hard.commands.progress import progress
from hard.errors import UsageError
from hard.model import leakage
from hard.model.classifier import Classifier, load
from hard.recordings import recordings, scores
from hard.recordings.default_rules import bundle_devices
from hard.recordings.recordings import Recording
from hard.recordings.tables import NoTimesError
from hard.records import Prediction, Window

BATCH = 256  # windows a scorer call: large enough that the call costs little, small enough that the bar moves

Labelled = tuple[Window, str | None]


def main(args: argparse.Namespace) -> int:
    """Labels `args.file`; raises HardError where the file, the bundle or the arguments can't be used."""
    runs, rejected = read_recording(args)
    if args.score and all(run.truth is None for run in runs):
        raise UsageError(f"{args.file}: has no truth to score against")
    classifier = _classifier(args)
    truths: list[str] = []
    labels: list[str] = []
    count = 0
    with progress("labelling", _expected(runs, classifier, args.hop), prints=True) as advance:
        for prediction, truth in label(classifier, runs, args.hop, streaming=args.streaming):
            line = as_object(prediction, truth, classifier.labels, args.min_confidence)
            sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
            count += 1
            advance(1)
            if truth is not None:
                truths.append(truth)
                labels.append(prediction.label)
    sys.stdout.buffer.flush()
    print_rejected(args.file, rejected)
    if not count:
        length_s = classifier.bundle.manifest.window.length_s
        raise UsageError(f"{args.file}: no run is long enough for a window of {length_s:g} s")
    if args.score:
        print(
            _score_text(scores.score(truths, labels, classifier.labels)) if truths else "nothing to score",
            file=sys.stderr,
        )
        subjects = list(dict.fromkeys(run.subject for run in runs))
        if warning := leakage.warning(classifier.bundle.manifest.training, [Path(args.file)], subjects):
            print(warning, file=sys.stderr)
    return 0


def label(
    classifier: Classifier, runs: Iterable[Recording], hop_s: float, *, streaming: bool = False
) -> Iterator[tuple[Prediction, str | None]]:
    """Each window of `runs` at `hop_s`, under the daemon's default rules, with its prediction and its truth.

    With `streaming` a window's mounting is what the daemon would have known then, else what the whole recording shows.
    """
    devices = bundle_devices(classifier.bundle, hop_s)
    for batch in _batches(recordings.windows(runs, devices, streaming=streaming)):
        predictions = classifier.classify([window for window, _ in batch])
        yield from zip(predictions, (truth for _, truth in batch), strict=True)


def as_object(
    prediction: Prediction, truth: str | None, labels: tuple[str, ...], min_confidence: float
) -> dict[str, object]:
    """One line of the output; `truth` is left out where it is not known."""
    window = prediction.window
    known = {} if truth is None else {"truth": truth}
    return {
        "subject": window.device,
        "start": round(window.start, 6),
        "end": round(window.end, 6),
        "label": prediction.label,
        "confidence": round(prediction.confidence, 6),
        "accepted": prediction.confidence >= min_confidence,
        "probabilities": dict(zip(labels, np.round(prediction.probabilities, 6).tolist(), strict=True)),
        **known,
    }


def read_recording(args: argparse.Namespace) -> tuple[list[Recording], Counter[str]]:
    """The runs of `args.file` that `args.subjects` asks for, and what was rejected. Raises HardError."""
    try:
        runs, rejected = recordings.read(
            args.file, time_unit=args.time_unit, rate_hz=args.rate, unit=args.unit, columns=dict(args.columns)
        )
    except NoTimesError as error:
        raise UsageError(f"{error} (--rate)") from error
    if args.subjects:
        there = dict.fromkeys(run.subject for run in runs)
        absent = [subject for subject in args.subjects if subject not in there]
        if absent:
            raise UsageError(f"{args.file}: has no subject {', '.join(absent)}; it has {', '.join(there)}")
        runs = [run for run in runs if run.subject in args.subjects]
    return runs, rejected


def print_rejected(file: str, rejected: Counter[str]) -> None:
    """Prints one line on standard error where anything was rejected."""
    counts = ", ".join(f"{n} × {reason}" for reason, n in rejected.most_common() if n)
    if counts:
        print(f"hard: {file}: rejected {counts}", file=sys.stderr)


def _classifier(args: argparse.Namespace) -> Classifier:
    classifier = load(args.bundle, args.backend)
    try:
        bundle_devices(classifier.bundle, args.hop)
    except ValueError as error:
        raise UsageError(f"--hop: {error}") from error
    return classifier


def _expected(runs: Iterable[Recording], classifier: Classifier, hop_s: float) -> float:
    """How many windows `runs` hold if nothing is missing, for the progress bar."""
    length_s = classifier.bundle.manifest.window.length_s
    return sum(max(0.0, (float(run.time[-1] - run.time[0]) - length_s) // hop_s + 1) for run in runs)


def _batches(labelled: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    source = iter(labelled)
    while batch := list(islice(source, BATCH)):
        yield batch


def _score_text(score: scores.Score) -> str:
    head = f"{score.count} windows of one known truth: accuracy {score.accuracy:.4f}, macro-F1 {score.macro_f1:.4f}"
    return f"{head}\n{scores.table(score)}"
