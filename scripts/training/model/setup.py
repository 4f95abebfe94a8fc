"""Dataset → the model to be trained with all that turns features into its input, and its examples. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hard.model import bundle
from hard.model.encoder import Encoder
from hard.model.labels import LabelTree
from hard.model.prompts import CompactPrompt, PromptSpec, prompt_style, quantile_edges
from hard.model.tokens import Ids, WordTokenizer
from hard.records import Float32Array
from training.data import augment, negatives
from training.data.dataset import Dataset
from training.data.examples import Examples, features_of
from training.data.loading import Labelled
from training.errors import RefusedError
from training.loop.guards import check_labels, check_prompt_length
from training.model import initial
from training.model.extend import base_of, grow, nearest
from training.model.tokenizer import check_ids, extended, sentencepiece_model, train_tokenizer
from training.recipe import SCRATCH, Recipe

CHECKED = 300  # prompts whose ids must be transformers' own


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """The model to be trained, with all that turns features into its input."""

    model: Any
    tokenizer: Any
    spec: PromptSpec
    encoder: Encoder
    label_tokens: list[list[int]]
    tree: LabelTree


def make_learner(recipe: Recipe, dataset: Dataset, folder: Path) -> tuple[Learner, Float32Array]:
    """Model and tokenizer, the latter saved to `folder`; and the features (N, F) of the training windows."""
    learnt = dataset.labelled.of(dataset.parts.train)
    features = features_of(learnt.xyz, learnt.mounting, recipe.rate_hz, recipe.features)
    base = base_of(recipe)
    if base is None:
        edges = quantile_edges(features, recipe.levels) if recipe.prompt == "compact" else ()
        spec = PromptSpec(recipe.prompt, 1, recipe.features, edges)
    else:
        spec = base.manifest.prompt
    try:
        style = prompt_style(spec)
    except ValueError as error:
        raise RefusedError(f"{error}: leave such a feature out of --features") from error
    if recipe.base == SCRATCH:
        vocabulary = style.vocabulary if isinstance(style, CompactPrompt) else []
        made = train_tokenizer(style.render(features), [w for words in vocabulary for w in words], dataset.labels)
        model = initial.scratch(made, vocabulary)
    else:
        model, made = initial.pretrained(recipe.base)
    if base is not None:
        before, made = made, extended(made, dataset.labels)
        grow(model, before, made, nearest(base, learnt))
    made.save_pretrained(folder)
    try:
        (folder / bundle.TOKENIZER).write_bytes(sentencepiece_model(made))
        words_of = WordTokenizer(str(folder / bundle.TOKENIZER))
        encoder = Encoder(words_of, spec)
        sample = features[np.linspace(0, len(features) - 1, min(CHECKED, len(features))).astype(int)]
        check_ids(words_of, made, [*style.render(sample), *dataset.labels])
    except ValueError as error:
        raise RefusedError(f"--base {recipe.base}: {error}") from error
    label_tokens = [words_of.encode(label) for label in dataset.labels]
    return Learner(model, made, spec, encoder, label_tokens, check_labels(label_tokens, dataset.labels)), features


def training_examples(recipe: Recipe, dataset: Dataset, learner: Learner, features: Float32Array) -> Examples:
    """The training windows, whose `features` are known, their augmented copies, and windows that are no activity."""
    rng, points = np.random.default_rng(recipe.seed), round(recipe.length_s * recipe.rate_hz)
    learnt, stretches = dataset.labelled.of(dataset.parts.train), dataset.stretches.of(dataset.parts.train)
    truth = [learnt.truth]
    columns = [features]
    for _ in range(recipe.copies or 0):
        copies = augment.augment(stretches.xyz, points, rng)
        columns.append(features_of(copies, stretches.mounting, recipe.rate_hz, recipe.features))
        truth.append(stretches.truth)
    if dealt := round((recipe.outliers or 0.0) * sum(map(len, truth))):
        worn = rng.integers(len(learnt.xyz), size=dealt)
        xyz = negatives.windows(dealt, points, recipe.rate_hz, rng)
        columns.append(features_of(xyz, learnt.mounting.of(worn), recipe.rate_hz, recipe.features))
        truth.append(rng.choice(dataset.labels, dealt))
    made = np.concatenate(columns), np.concatenate(truth)
    return _examples(made, recipe, dataset, learner, word_dropout=recipe.word_dropout or 0.0)


def examples_of(recipe: Recipe, dataset: Dataset, learner: Learner, windows: Labelled) -> Examples:
    """`windows` as they are, no word dropped: to validate or test on."""
    features = features_of(windows.xyz, windows.mounting, recipe.rate_hz, recipe.features)
    return _examples((features, windows.truth), recipe, dataset, learner, word_dropout=0.0)


def _examples(
    columns: tuple[Float32Array, Sequence[str]],
    recipe: Recipe,
    dataset: Dataset,
    learner: Learner,
    *,
    word_dropout: float,
) -> Examples:
    features, truth = columns
    ids, mask = learner.encoder.tokens(features)
    check_prompt_length(ids.shape[1], recipe.max_tokens)
    label = indices(truth, dataset.labels)
    return Examples(ids, mask, label, learner.label_tokens, word_dropout=word_dropout, seed=recipe.seed)


def indices(truth: Sequence[str], labels: Sequence[str]) -> Ids:
    """The place (N,) of each truth among the labels. Raises RefusedError for a truth that is none of them."""
    place = {label: i for i, label in enumerate(labels)}
    if unknown := sorted(set(map(str, truth)) - set(place)):
        raise RefusedError(f"the recordings hold {unknown[0]!r}, which is none of the labels {', '.join(labels)}")
    return np.array([place[str(name)] for name in truth], dtype=np.int64)
