"""The whole way of one fine-tune: recordings → split → examples → training → bundle → score on people never seen."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import structs
from rich.console import Console
from transformers import set_seed

from hard.model import bundle
from hard.model.bundle import FORMAT, Manifest, Training, WindowSpec
from hard.model.classifier import Classifier
from hard.model.encoder import Encoder
from hard.model.labels import LabelTree
from hard.model.prompts import CompactPrompt, PromptSpec, prompt_style, quantile_edges
from hard.model.tokens import Ids, WordTokenizer
from hard.motion.mounting import Frame
from hard.motion.windows import Grid
from hard.records import Singles
from hard.scores import score
from training import augment, calibrate, card, checkpoint, data, export, report, split
from training.data import Labelled
from training.examples import Examples, features_of
from training.guards import RefusedError, StoppedError, check_labels, check_prompt_length, choose_precision
from training.judging import classify, metrics_of
from training.pieces import check_ids, sentencepiece_model
from training.recipe import SCRATCH, Recipe
from training.tokenizer import train_tokenizer
from training.trainer import train

AGREEMENT = 1e-4  # between transformers' own forward and the compiled graph, in log probability
PACKAGES = ("torch", "transformers", "sentencepiece", "numpy", "onnx", "onnxruntime")
SAMPLES = 5
CHECKED = 300  # prompts whose ids must be transformers' own


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The data, cut and parted: what the model is made from."""

    labelled: Labelled
    stretches: Labelled
    labels: tuple[str, ...]
    parts: split.Split
    usual: Frame


@dataclass(frozen=True, slots=True, eq=False)
class Pupil:
    """The model to be trained, with all that turns features into its input."""

    model: Any
    tokenizer: Any
    spec: PromptSpec
    encoder: Encoder
    label_tokens: list[list[int]]
    tree: LabelTree


def run(recipe: Recipe, console: Console) -> bundle.Bundle:
    """Makes the bundle at `recipe.out`; nothing is left there when it fails. Raises RefusedError or StoppedError."""
    recipe = recipe.settled()
    precision, reason = choose_precision(recipe.precision)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    set_seed(recipe.seed)
    _check_out(recipe.out)
    material = prepare(recipe, console)
    console.print(f"precision {precision}: {reason}")
    with tempfile.TemporaryDirectory(prefix="hard-finetune-") as scratch_folder:
        work, built = Path(scratch_folder) / "work", Path(scratch_folder) / "bundle"
        built.mkdir()
        pupil, features = make_pupil(recipe, material, built)
        examples = make_examples(recipe, material, pupil, features)
        console.print(
            f"{sum(p.numel() for p in pupil.model.parameters()):,} parameters, {len(examples[0])} examples, "
            f"prompts of {examples[0].longest} tokens at most: {pupil.encoder.render(features[:1])[0]}",
            highlight=False,
            markup=False,
        )
        train(
            pupil.model,
            pupil.tokenizer,
            examples=examples,
            labels=material.labels,
            recipe=recipe,
            precision=precision,
            folder=work,
        )
        sealed = seal(recipe, material, pupil, kept=examples[1], precision=f"{precision} ({reason})", folder=built)
        judge(sealed, material, console)
        shutil.rmtree(recipe.out, ignore_errors=True)
        recipe.out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(built, recipe.out, copy_function=shutil.copyfile)  # readable by whom the umask lets read
    console.print(f"wrote {recipe.out}")
    return bundle.read(recipe.out)


def prepare(recipe: Recipe, console: Console) -> Material:
    """Reads, cuts and splits the recordings, and shows what there is."""
    runs, rejected = data.load(recipe.data, recipe.time_unit, recipe.recorded_hz, recipe.unit)
    try:
        grid = Grid(recipe.length_s, recipe.rate_hz, hop_s=recipe.hop_s)
    except ValueError as error:
        raise RefusedError(f"{error}: choose another --length-s or --rate") from error
    labelled = data.cut(runs, grid)
    labels = data.ordered(labelled.truth)
    parts = split.by_subject([run.subject for run in runs], recipe.holdout, recipe.validation, recipe.seed)
    report.show_data(console, runs, rejected, labelled=labelled, labels=labels, split=parts)
    split.check_classes(labelled, parts, labels)
    learnt = [run for run in runs if run.subject in parts.train]
    room = Grid(augment.room_points(len(grid.offsets)) / recipe.rate_hz, recipe.rate_hz, hop_s=recipe.hop_s)
    stretches = data.cut(learnt, room) if recipe.copies else labelled.of(())
    usual = data.usual(labelled.of(parts.train))
    return Material(labelled.under(usual), stretches.under(usual), labels, parts, usual)


def make_pupil(recipe: Recipe, material: Material, folder: Path) -> tuple[Pupil, Singles]:
    """Model and tokenizer, the latter saved to `folder`; and the features (N, F) of the training windows."""
    learnt = material.labelled.of(material.parts.train)
    features = features_of(learnt.xyz, learnt.mounting, recipe.rate_hz, recipe.features)
    edges = quantile_edges(features, recipe.levels) if recipe.prompt == "compact" else ()
    spec = PromptSpec(recipe.prompt, 1, recipe.features, edges)
    try:
        style = prompt_style(spec)
    except ValueError as error:
        raise RefusedError(f"{error}: leave such a feature out of --features") from error
    if recipe.base == SCRATCH:
        vocabulary = style.vocabulary if isinstance(style, CompactPrompt) else []
        made = train_tokenizer(style.render(features), [w for words in vocabulary for w in words], material.labels)
        model = checkpoint.scratch(made, vocabulary)
    else:
        model, made = checkpoint.pretrained(recipe.base)
    made.save_pretrained(folder)
    try:
        (folder / bundle.TOKENIZER).write_bytes(sentencepiece_model(made))
        words_of = WordTokenizer(str(folder / bundle.TOKENIZER))
        encoder = Encoder(words_of, spec)
        sample = features[np.linspace(0, len(features) - 1, min(CHECKED, len(features))).astype(int)]
        check_ids(words_of, made, [*style.render(sample), *material.labels])
    except ValueError as error:
        raise RefusedError(f"--base {recipe.base}: {error}") from error
    label_tokens = [words_of.encode(label) for label in material.labels]
    return Pupil(model, made, spec, encoder, label_tokens, check_labels(label_tokens, material.labels)), features


def make_examples(recipe: Recipe, material: Material, pupil: Pupil, features: Singles) -> tuple[Examples, Examples]:
    """Training examples, augmented copies included, and validation examples."""
    rng = np.random.default_rng(recipe.seed)
    truth = [material.labelled.of(material.parts.train).truth]
    columns = [features]
    for _ in range(recipe.copies or 0):
        points = round(recipe.length_s * recipe.rate_hz)
        copies = augment.augment(material.stretches.xyz, points, rng)
        columns.append(features_of(copies, material.stretches.mounting, recipe.rate_hz, recipe.features))
        truth.append(material.stretches.truth)
    kept = material.labelled.of(material.parts.validation)
    made = []
    for part, names, dropout in (
        (np.concatenate(columns), np.concatenate(truth), recipe.word_dropout or 0.0),
        (features_of(kept.xyz, kept.mounting, recipe.rate_hz, recipe.features), kept.truth, 0.0),
    ):
        ids, mask = pupil.encoder.tokens(part)
        check_prompt_length(ids.shape[1], recipe.max_tokens)
        made.append(
            Examples(
                ids, mask, indices(names, material.labels), pupil.label_tokens, word_dropout=dropout, seed=recipe.seed
            )
        )
    return made[0], made[1]


def indices(truth: Sequence[str], labels: Sequence[str]) -> Ids:
    """The place (N,) of each truth among the labels."""
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place[str(name)] for name in truth], dtype=np.int64)


def seal(
    recipe: Recipe, material: Material, pupil: Pupil, *, kept: Examples, precision: str, folder: Path
) -> bundle.Bundle:
    """Saves the trained model to `folder`, compiles it, fits the temperature on the validation examples `kept`."""
    pupil.model.cpu().float().eval().save_pretrained(folder)
    export.export(pupil.model, pupil.tree, pupil.encoder.length, folder / bundle.GRAPH)
    scores, apart = export.compare(pupil.model, pupil.tree, folder / bundle.GRAPH, kept)
    if not apart <= AGREEMENT:
        raise StoppedError(
            f"the compiled scorer is {apart:.1e} away from transformers' own forward, over {AGREEMENT:g}: this "
            "version of transformers computes T5 otherwise than scripts/training/export.py"
        )
    temperature = calibrate.fit_temperature(scores, kept.label)
    training = Training(
        command=recipe.command,
        base=recipe.base if recipe.base == SCRATCH or not Path(recipe.base).is_dir() else Path(recipe.base).name,
        data=", ".join(path.name for path in recipe.data),
        subjects=material.parts.parts(),
        seed=recipe.seed,
        precision=precision,
        versions={"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        metrics={},
    )
    return bundle.write(
        folder,
        Manifest(
            format=FORMAT,
            name=recipe.name,
            labels=material.labels,
            window=WindowSpec(recipe.length_s, recipe.rate_hz),
            prompt=pupil.spec,
            up=tuple(material.usual.up.tolist()),
            forward=tuple(material.usual.forward.tolist()),
            temperature=temperature,
            training=training,
        ),
    )


def judge(sealed: bundle.Bundle, material: Material, console: Console) -> None:
    """Scores the bundle as it will be served, writes the figures into it and its card."""
    classifier = Classifier(sealed)
    metrics: dict[str, Any] = {}
    for part in ("validation", "test"):
        windows = material.labelled.of(material.parts.parts()[part])
        if not len(windows):
            continue
        truth = windows.truth.tolist()
        predictions = classify(classifier, windows)
        metrics[part] = metrics_of(predictions, truth, classifier.labels)
        report.show_score(console, f"{part} subjects", score(truth, [p.label for p in predictions], classifier.labels))
        report.show_figures(console, metrics[part])
        shown = [predictions[i] for i in np.linspace(0, len(predictions) - 1, SAMPLES).astype(int)]
        was = [truth[i] for i in np.linspace(0, len(predictions) - 1, SAMPLES).astype(int)]
    report.show_samples(console, classifier.prompts([p.window for p in shown]), shown, was)
    manifest = structs.replace(sealed.manifest, training=structs.replace(sealed.manifest.training, metrics=metrics))
    (sealed.path / bundle.CARD).write_text(card.model_card(manifest), encoding="utf-8")
    bundle.write(sealed.path, manifest)


def _check_out(out: Path) -> None:
    if out.exists() and not (out.is_dir() and ((out / bundle.MANIFEST).exists() or not any(out.iterdir()))):
        raise RefusedError(f"{out} exists and is no bundle: choose another --out")
