"""A bundle on labelled windows → what it predicts as it will be served. Makes no report and prints nothing.

`judge` is the end of a fine-tune, baselines beside it; `evaluate` takes any bundle and any recordings, without
baselines: they need what the bundle was trained on, which its own card names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hard.model import leakage
from hard.model.bundle import Bundle
from hard.model.classifier import Backend, Classifier, load
from hard.model.figures import Sample
from hard.recordings.default_rules import bundle_devices
from hard.recordings.recordings import LabelledWindow, Recording
from hard.records import Float64Array, Prediction
from hard.units import place_of
from training.base_bundle import BEFORE
from training.data import loading
from training.data.dataset import Dataset
from training.data.examples import Examples
from training.data.loading import LabelledWindows
from training.errors import RefusedError
from training.evaluation import baselines, out_of_distribution, perturbations
from training.loop.trainer import generated, loss_on
from training.model.setup import ModelSetup, examples_of
from training.options import Source
from training.recipe import Recipe
from training.results import states
from training.results.confidence import SOURCE_BUNDLE, SOURCE_DATA, Certainty, certainty_of, recommended
from training.results.outcome import BACKWARDS, LAGS_S, PLACED, TWO_PASS, UNKNOWN, Baselines, Outcome, outcome_of
from training.results.states import Labelled, StatesFit
from training.results.trial import Trial

BATCH = 256
AS_RECORDED = "as recorded"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A bundle on recordings, a window every `hop_s`, with `rejected` records by reason.

    `seen_before` are the subjects whom the bundle has seen, `warning` the sentence that says so. `threshold` is the
    `labels.min_confidence` in force, by the rule `threshold_source`; `macro_f1` is by perturbation, AS_RECORDED first.
    The `outcome` is as the daemon would label; `beside` are TWO_PASS, BACKWARDS and the bundle's states.
    """

    model: str
    backend: Backend
    files: tuple[Path, ...]
    subjects: tuple[str, ...]
    hop_s: float
    rejected: Counter[str]
    seen_before: tuple[str, ...]
    warning: str
    outcome: Outcome
    beside: dict[str, Outcome]
    threshold: float
    threshold_source: str
    out_of_distribution: dict[str, Certainty]
    macro_f1: dict[str, float]


def classify(classifier: Classifier, labelled: LabelledWindows) -> list[Prediction]:
    """A prediction for every window, in batches that bound the memory; the bundle's mounting where none was shown."""
    windows = labelled.with_default_mounting(classifier.bundle.default_mounting()).windows
    found: list[Prediction] = []
    for i in range(0, len(windows), BATCH):
        found += classifier.classify(windows[i : i + BATCH])
    return found


def fit_states(sealed: Bundle, sequences: LabelledWindows, hop_s: float) -> StatesFit:
    """The states under which the truths of `sequences` are likeliest; of people whom the bundle has not learnt from."""
    losses = states.losses(in_sequence(Classifier(sealed), sequences), sealed.manifest.labels, hop_s)
    return states.choose(losses, sealed.manifest.labels, sealed.manifest.window.length_s)


def macro_f1_by_rate(sealed: Bundle, runs: Sequence[Recording], hop_s: float) -> tuple[tuple[float, float], ...]:
    """macro-F1 of the labels of `runs` as devices of each of RATES_HZ would have given them; 0 where these give no
    window. Of people whom the bundle has not learnt from."""
    classifier, grid = Classifier(sealed), bundle_devices(sealed, hop_s).grid
    found = []
    for rate_hz in perturbations.RATES_HZ:
        try:
            labelled = loading.windows_of(perturbations.sampled_at(runs, rate_hz), grid)
        except RefusedError:  # none of them closes a window
            found.append((rate_hz, 0.0))
            continue
        found.append((rate_hz, round(_outcome_on(labelled, classifier).score.macro_f1, 4)))
    return tuple(found)


def in_sequence(classifier: Classifier, sequences: LabelledWindows) -> list[Labelled]:
    """Windows with their predictions, as a state filter takes them; a truth "" is none."""
    columns = (getattr(sequences, name).tolist() for name in ("truth", "subject", "place", "dataset"))
    predictions = classify(classifier, sequences)
    return [
        (LabelledWindow(window, truth or None, subject, place or None, dataset or None), prediction)
        for window, prediction, truth, subject, place, dataset in zip(
            sequences.windows, predictions, *columns, strict=True
        )
    ]


def judge(
    sealed: Bundle,
    setup: ModelSetup,
    recipe: Recipe,
    dataset: Dataset,
    *,
    on: Sequence[str],
    baselines_done: Callable[[str], None] | None = None,
) -> Trial:
    """The trial of the bundle that `recipe` made of `setup` and `dataset`: its predictions for the windows of the parts
    `on`, where they have any, and beside them those of the bundle that it began with, and its states.

    With `baselines_done`, which is called with each one's name, also those of the baselines for the test windows. The
    history is yet to be filled in.
    """
    classifier, parts = Classifier(sealed), dataset.split
    others: Baselines = {}
    if baselines_done is not None and len(dataset.labelled.of(parts.test)):
        rules = baselines.Rules(
            recipe.epochs, recipe.patience, recipe.seed, recipe.epoch_windows, with_cnn=not recipe.leave_out
        )
        others = baselines.predict(*baselines.parts_of(recipe, dataset), rules, baselines_done)
    longest, test_loss = 0, None
    outcomes: dict[str, Outcome] = {}
    samples: tuple[Sample, ...] = ()
    for part in on:
        windows = dataset.labelled.of(parts.groups()[part])
        if not len(windows):
            continue
        predictions, examples = classify(classifier, windows), examples_of(recipe, dataset, setup, windows.of_one_label)
        beside = dict(others) if part == "test" else {}
        if recipe.base_bundle is not None:
            before = classify(Classifier(recipe.base_bundle), windows)
            beside = {BEFORE: [np.array([p.label for p in before])], **beside}
        temperature = sealed.manifest.temperature
        outcomes[part] = outcome_of(predictions, windows, classifier.labels, temperature, beside)
        longest = max(longest, examples.longest)
        if part == "test":
            test_loss = loss_on(setup.model, setup.tokenizer, examples, recipe.label_smoothing)
        by_label = [np.flatnonzero(windows.truth == label) for label in classifier.labels]
        rows = [int(rows[len(rows) // 2]) for rows in by_label if len(rows)]
        middle = windows.at(np.array(rows, dtype=np.int64))
        samples = _samples(
            classifier, setup, examples_of(recipe, dataset, setup, middle), middle, [predictions[row] for row in rows]
        )
    again, losses = _again(classifier, dataset, list(outcomes)[-1:], recipe.hop_s)
    part = list(outcomes)[-1]
    found = out_of_distribution.certainties(classifier) | _changed(classifier, dataset, part, recipe.hop_s)
    unknown = _unknown(classifier, dataset, part)
    return Trial(outcomes, (), longest, found, test_loss, samples, again, losses, unknown)


def _changed(classifier: Classifier, dataset: Dataset, part: str, hop_s: float) -> dict[str, Certainty]:
    """How certain the labels of the people of `part` are, had their devices sent no gravity or another unit."""
    runs = [run for run in dataset.judged if run.subject in dataset.split.parts()[part]]
    if not runs:
        return {}
    changed = out_of_distribution.of_recordings(classifier.bundle, runs, hop_s)
    return {name: certainty_of(classify(classifier, windows)) for name, windows in changed.items()}


def _unknown(classifier: Classifier, dataset: Dataset, part: str) -> dict[str, Certainty]:
    """How certain the labels are for windows of the people of `part` whose activity is left out, or whose label is
    dropped; of the latter also by place."""
    windows = {UNKNOWN: dataset.unknown} if part == "test" and len(dataset.unknown) else {}
    if part != "train" and dataset.dropped is not None:
        own = dataset.dropped.of(dataset.split.groups()[part])
        places = np.array([place_of(place) for place in own.place.tolist()], dtype=np.str_)
        for label in sorted(set(own.truth.tolist())):
            windows[label] = own.at(np.flatnonzero(own.truth == label))
            for place in sorted(set(places[own.truth == label].tolist()) - {"any"}):
                windows[f"{label}, {place}"] = own.at(np.flatnonzero((own.truth == label) & (places == place)))
    return {name: certainty_of(classify(classifier, found)) for name, found in windows.items()}


def _again(
    classifier: Classifier, dataset: Dataset, parts: Sequence[str], hop_s: float
) -> tuple[dict[str, Outcome], Float64Array]:
    """What stands beside the figures of `parts`, and their people's losses (G, S) under the choices of states."""
    groups = [name for part in parts for name in dataset.split.groups()[part]]
    judged = dataset.labelled.of(groups)
    windows = {TWO_PASS: judged.two_pass, BACKWARDS: dataset.backwards.of(groups), **_placed(judged, classifier)}
    found = {name: _outcome_on(labelled, classifier) for name, labelled in windows.items() if len(labelled)}
    if not len(sequences := dataset.sequences.of(groups)):
        return found, np.empty((0, 0))
    labelled = in_sequence(classifier, sequences)
    losses = states.losses(labelled, classifier.labels, hop_s)
    return found | _states(labelled, classifier.bundle, hop_s), losses


def _samples(
    classifier: Classifier,
    setup: ModelSetup,
    examples: Examples,
    windows: LabelledWindows,
    predictions: Sequence[Prediction],
) -> tuple[Sample, ...]:
    """What is made of each of `windows`."""
    texts = generated(setup.model, setup.tokenizer, examples.__getitems__(range(len(examples))))
    prompts = classifier.prompts([made.window for made in predictions])
    return tuple(
        Sample(str(truth), made.label, round(made.confidence, 4), text, prompt)
        for truth, made, text, prompt in zip(windows.truth, predictions, texts, prompts, strict=True)
    )


def evaluate(
    path: Path,
    files: Sequence[Path],
    source: Source,
    *,
    subjects: Sequence[str] | None = None,
    backend: Backend = "onnx",
    hop_s: float = 1.0,
    perturbed: bool = False,
) -> Evaluation:
    """The bundle at `path` on the `subjects` (None: all) of `files`; with `perturbed`, also on the recordings as other
    phones and placements would have given them. Raises BundleError and RefusedError.
    """
    classifier = load(str(path), backend)
    manifest = classifier.bundle.manifest
    runs, rejected = loading.load(files, source)
    present = tuple(dict.fromkeys(run.subject for run in runs))
    wanted = present if subjects is None else tuple(subjects)
    if unknown := [subject for subject in wanted if subject not in present]:
        raise RefusedError(f"subject {unknown[0]!r} is not in the data; there are {', '.join(present)}")
    runs, grid = [run for run in runs if run.subject in wanted], bundle_devices(classifier.bundle, hop_s).grid
    sequences = loading.windows_of(runs, grid, every=True)
    labelled = sequences.at(np.flatnonzero(sequences.truth != ""))
    _check_labels(labelled, classifier.labels)
    outcome = _outcome_on(labelled, classifier)
    reverse = loading.windows_of(loading.reversed_order(runs), grid)
    again = {TWO_PASS: labelled.two_pass, BACKWARDS: reverse, **_placed(labelled, classifier)}
    others = perturbations.perturbed(runs) if perturbed else ()
    found = {
        name: _outcome_on(loading.windows_of(changed, grid), classifier).score.macro_f1 for name, changed in others
    }
    abstaining, known_files = manifest.training.metrics.abstaining, loading.files(files)
    return Evaluation(
        model=classifier.bundle.model,
        backend=backend,
        files=tuple(files),
        subjects=wanted,
        hop_s=hop_s,
        rejected=rejected,
        seen_before=leakage.seen_subjects(manifest.training, known_files, wanted),
        warning=leakage.warning(manifest.training, known_files, wanted),
        outcome=outcome,
        beside={name: _outcome_on(windows, classifier) for name, windows in again.items()}
        | _states(in_sequence(classifier, sequences), classifier.bundle, hop_s),
        threshold=abstaining.min_confidence if abstaining else recommended(outcome.certainty.counted, outcome.right),
        threshold_source=SOURCE_BUNDLE if abstaining else SOURCE_DATA,
        out_of_distribution=out_of_distribution.certainties(classifier),
        macro_f1={AS_RECORDED: outcome.score.macro_f1, **found},
    )


def _placed(labelled: LabelledWindows, classifier: Classifier) -> dict[str, LabelledWindows]:
    """The windows with their place stated, where the bundle has a word for it and they have one."""
    has_word = "place" in classifier.bundle.manifest.prompt.context
    return {PLACED: labelled.placed} if has_word and any(labelled.stated_place) else {}


def _states(labelled: Sequence[Labelled], bundle: Bundle, hop_s: float) -> dict[str, Outcome]:
    """The bundle's states at each of LAGS_S."""
    return {
        name: states.outcome_of_states(labelled, bundle.manifest.labels, bundle.states(), hop_s, lag_s)
        for name, lag_s in LAGS_S.items()
    }


def _outcome_on(labelled: LabelledWindows, classifier: Classifier) -> Outcome:
    predictions = classify(classifier, labelled)
    temperature = classifier.bundle.manifest.temperature
    return outcome_of(predictions, labelled, classifier.labels, temperature)


def _check_labels(labelled: LabelledWindows, labels: Sequence[str]) -> None:
    """Raises RefusedError where no truth is one of `labels`: names differ, and every figure would be 0."""
    if not set(labels) & set(names := loading.ordered(labelled.truth)):
        raise RefusedError(
            f"the recordings' activities ({', '.join(names)}) are none of the bundle's labels ({', '.join(labels)}): "
            f"pair them with --labels {labels[0]}=NAME"
        )
