"""`hard label FILE`: labels a recording through the daemon's own windows and classifier, without any broker.

One JSON object a window on standard output, or with `--states` one a change of state; progress, what was rejected and
the score on standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from hard.commands import truths
from hard.commands.progress import progress
from hard.errors import UsageError
from hard.model import leakage
from hard.model.classifier import Classifier, load
from hard.motion.windows import Grid
from hard.outputs.acceptance import Acceptance
from hard.recordings import recordings
from hard.recordings.default_rules import bundle_devices
from hard.recordings.recordings import LabelledWindow, Recording
from hard.recordings.tables import NoTimesError
from hard.records import Prediction
from hard.settings import IngestSection, LabelsSection
from hard.units import PLACES, is_place, stated_place

Labelled = Iterable[tuple[LabelledWindow, Prediction]]
Named = tuple[LabelledWindow, str]  # a window and its label or state
SAME_RATE = 1.25  # a clock and a stated rate that differ by no more mean the same
BATCH = 256  # windows a scorer call: large enough that the call costs little, small enough that the bar moves


def main(args: argparse.Namespace) -> int:
    """Labels `args.file`; raises HardError where the file, the bundle or the arguments can't be used."""
    runs, rejected = read_recording(args)
    if args.score and all(run.truth is None for run in runs):
        raise UsageError(f"{args.file}: has no truth to score against")
    section = _section(args)
    classifier = _classifier(args, section.hop_s)
    runs = truths.named(runs, classifier.labels, args.labels, drop=args.drop)
    if args.score:
        truths.check(args.file, runs, classifier.labels)
    printed = _print_states if args.states else _print_labels
    scored: list[truths.Scored] = []
    count = 0
    with progress("labelling", _expected(runs, classifier, section.hop_s), prints=True) as advance:
        for one, label_or_state in printed(
            label(classifier, runs, section.hop_s, streaming=not args.two_pass, place=_place(args.place)),
            classifier,
            section,
        ):
            count += 1
            advance(1)
            if one.truth is not None:
                scored.append((one.truth, label_or_state, one.window.calibrated))
    sys.stdout.buffer.flush()
    print_rejected(args.file, rejected)
    if not count:
        raise UsageError(f"{args.file}: {_why_no_window(runs, bundle_devices(classifier.bundle, section.hop_s).grid)}")
    if args.score:
        print(truths.score_text(scored, classifier.labels) if scored else "nothing to score", file=sys.stderr)
        if args.states and scored:
            print(truths.parents_text(scored, classifier.bundle.parents(), section.lag_s), file=sys.stderr)
        subjects = list(dict.fromkeys(run.subject for run in runs))
        if warning := leakage.warning(classifier.bundle.manifest.training, [Path(args.file)], subjects):
            print(warning, file=sys.stderr)
    return 0


def _why_no_window(runs: Sequence[Recording], grid: Grid) -> str:
    """Why no window came of `runs`, as part of a sentence."""
    longest = max(runs, key=lambda run: float(run.time[-1] - run.time[0]))
    length_s, rate_hz = float(longest.time[-1] - longest.time[0]), median_rate(longest)
    if length_s >= grid.length_s and rate_hz * grid.covered_step_s < 1:
        return f"it has {rate_hz:.3g} samples a second, and a window needs at least {1 / grid.covered_step_s:.3g}"
    return f"no run is long enough for a window of {grid.length_s:g} s; the longest has {length_s:.3g} s"


def median_rate(run: Recording) -> float:
    """Samples a second, by the median step; 0 for a single sample."""
    return float(1 / np.median(np.diff(run.time))) if len(run.time) > 1 else 0.0


def label(
    classifier: Classifier,
    runs: Iterable[Recording],
    hop_s: float,
    *,
    streaming: bool = True,
    place: str | None = None,
) -> Iterator[tuple[LabelledWindow, Prediction]]:
    """Each window of `runs` at `hop_s`, under the daemon's default rules, with its prediction.

    A window's mounting is what the daemon would have known then; without `streaming` what the whole recording shows.
    `place` is what the model hears, as from `ingest.place`; a recording's own place only tells devices apart.
    """
    devices = bundle_devices(classifier.bundle, hop_s)
    labelled = recordings.windows(runs, devices, streaming=streaming)
    placed = (one._replace(window=replace(one.window, place=place)) for one in labelled) if place else labelled
    for batch in _batches(placed):
        yield from zip(batch, classifier.classify([one.window for one in batch]), strict=True)


def _print_labels(labelled: Labelled, classifier: Classifier, section: LabelsSection) -> Iterator[Named]:
    """Prints a line a window; gives the window and its label."""
    bundle = classifier.bundle
    acceptance = Acceptance(
        classifier.labels,
        bundle.parents(),
        bundle.min_confidence(section.min_confidence),
        bundle.min_familiar(section.min_familiar),
    )
    for one, prediction in labelled:
        _print(as_object(one, prediction, acceptance))
        yield one, prediction.label


def _print_states(labelled: Labelled, classifier: Classifier, section: LabelsSection) -> Iterator[Named]:
    """Prints a line a change of state; gives each window and its state, when it is known."""
    from hard.commands import states  # noqa: PLC0415  (the daemon's parts are slow to import)
    from hard.daemon.wiring import make_acceptance, make_smoother  # noqa: PLC0415

    smoother, acceptance = make_smoother(section, classifier.bundle), make_acceptance(section, classifier.bundle)
    silent_after_s = IngestSection().silent_after_s
    steps = states.follow(labelled, smoother, acceptance=acceptance, silent_after_s=silent_after_s)
    for step in steps:
        for change in step.changes:
            _print(states.as_object(step, change))
        yield from ((one, state.label) for one, state in step.windows)


def _print(line: dict[str, object]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")


def as_object(one: LabelledWindow, prediction: Prediction, acceptance: Acceptance) -> dict[str, object]:
    """One line of the output; `truth` is left out where it is not known."""
    window = prediction.window
    known = {} if one.truth is None else {"truth": one.truth}
    return {
        "subject": one.subject,
        "place": one.place or window.place,
        "start": round(window.start, 6),
        "end": round(window.end, 6),
        "window_id": window.window_id,
        "label": prediction.label,
        "confidence": round(prediction.confidence, 6),
        "familiar": None if prediction.familiar is None else round(prediction.familiar, 6),
        "accepted": acceptance.accepts(prediction),
        "parent": acceptance.parent(prediction),
        "probabilities": dict(zip(acceptance.labels, np.round(prediction.probabilities, 6).tolist(), strict=True)),
        **known,
    }


def read_recording(args: argparse.Namespace) -> tuple[list[Recording], Counter[str]]:
    """The runs of `args.file` that `args.subjects` asks for, and what was rejected. Raises HardError."""
    try:
        if args.format:
            runs, rejected = _read_captured(args)
        else:
            runs, rejected = recordings.read(
                args.file, time_unit=args.time_unit, rate_hz=args.rate, unit=args.unit, columns=dict(args.columns)
            )
    except NoTimesError as error:
        raise UsageError(f"{error} (--rate)") from error
    shown_hz = float(np.median([median_rate(run) for run in runs]))
    if args.rate and not args.rate / SAME_RATE <= shown_hz <= args.rate * SAME_RATE and shown_hz:
        raise UsageError(
            f"{args.file}: its times show {shown_hz:.3g} Hz, not {args.rate:g} Hz: leave --rate out, or name another "
            "column with --columns time=NAME"
        )
    if args.subjects:
        there = dict.fromkeys(run.subject for run in runs)
        absent = [subject for subject in args.subjects if subject not in there]
        if absent:
            raise UsageError(f"{args.file}: has no subject {', '.join(absent)}; it has {', '.join(there)}")
        runs = [run for run in runs if run.subject in args.subjects]
    return runs, rejected


def _read_captured(args: argparse.Namespace) -> tuple[list[Recording], Counter[str]]:
    from hard.commands import captured  # noqa: PLC0415  (the daemon's parts are slow to import)

    path = Path(args.file)
    table = captured.read(path, captured.settings_of(args))
    return recordings.from_table(table, path, time_unit="s", unit="m/s2" if args.unit else None)


def print_rejected(file: str, rejected: Counter[str]) -> None:
    """Prints one line on standard error where anything was rejected."""
    counts = ", ".join(f"{n} × {reason}" for reason, n in rejected.most_common() if n)
    if counts:
        print(f"hard: {file}: rejected {counts}", file=sys.stderr)


def _place(name: str) -> str | None:
    """The place that `name` states; a name that HARD doesn't know is any, with a warning."""
    if not is_place(name):
        print(f"hard: --place: {name!r} is none of {', '.join(PLACES)}: it counts as any", file=sys.stderr)
    return stated_place(name)


def _section(args: argparse.Namespace) -> LabelsSection:
    """The settings of labels, as the options ask; the others have their defaults."""
    asked = {
        "hop_s": args.hop, "min_confidence": args.min_confidence, "min_familiar": args.min_familiar,
        "smoothing": args.smoothing, "lag_s": args.lag,
    }  # fmt: skip
    return LabelsSection(**{name: value for name, value in asked.items() if value is not None})


def _classifier(args: argparse.Namespace, hop_s: float) -> Classifier:
    classifier = load(args.bundle, args.backend)
    try:
        bundle_devices(classifier.bundle, hop_s)
    except ValueError as error:
        raise UsageError(f"--hop: {error}") from error
    return classifier


def _expected(runs: Iterable[Recording], classifier: Classifier, hop_s: float) -> float:
    """How many windows `runs` hold if nothing is missing, for the progress bar."""
    length_s = classifier.bundle.manifest.window.length_s
    return sum(max(0.0, (float(run.time[-1] - run.time[0]) - length_s) // hop_s + 1) for run in runs)


def _batches(labelled: Iterable[LabelledWindow]) -> Iterator[list[LabelledWindow]]:
    source = iter(labelled)
    while batch := list(islice(source, BATCH)):
        yield batch
