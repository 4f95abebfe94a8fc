"""Dataset → the model to be trained with all that turns features into its input, and its examples. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hard.model import bundle
from hard.model.encoder import Encoder
from hard.model.labels import LabelTree
from hard.model.prompts import VERSIONS, CompactPrompt, PromptSpec, Words, context_of, prompt_style, quantile_edges
from hard.model.tokens import Ids, WordTokenizer
from hard.recordings.scores import alternatives
from hard.records import Float32Array
from hard.units import PLACES
from training.data import negatives
from training.data.dataset import Dataset
from training.data.examples import DrawnExamples, Examples, features_of
from training.data.loading import LabelledWindows
from training.errors import RefusedError
from training.model import initial
from training.model.checks import check_labels, check_prompt_length
from training.model.extend import grow, nearest
from training.model.tokenizer import check_ids, extended, sentencepiece_model, train_tokenizer
from training.options import SCRATCH
from training.recipe import EPOCH_WINDOWS, Recipe

YOUNG = 0.1  # share of outliers that nothing came before
CHECKED = 300  # prompts whose ids must be transformers' own
CONTEXT_DROPPED = 0.5  # share of examples to learn from whose words of context are unknown


@dataclass(frozen=True, slots=True, eq=False)
class ModelSetup:
    """The model to be trained (a T5 of transformers) and its tokenizer, with all that turns features into its input."""

    model: Any
    tokenizer: Any
    spec: PromptSpec
    encoder: Encoder
    label_tokens: list[list[int]]
    tree: LabelTree


def set_up(recipe: Recipe, dataset: Dataset, folder: Path) -> tuple[ModelSetup, Float32Array]:
    """Model and tokenizer, the latter saved to `folder`; and the features (N, F) of the training windows."""
    learnt, shown = dataset.labelled.of(dataset.split.train), next(dataset.variants(recipe))
    features = features_of(shown.xyz, shown.known, recipe.rate_hz, recipe.features)
    base = recipe.base_bundle
    if base is None:
        edges = quantile_edges(features, recipe.levels) if recipe.prompt == "compact" else ()
        spec = PromptSpec(recipe.prompt, VERSIONS[recipe.prompt], recipe.features, edges, recipe.context)
    else:
        spec = base.manifest.prompt
    try:
        style = prompt_style(spec)
    except ValueError as error:
        raise RefusedError(f"{error}: leave such a feature out of --features") from error
    if recipe.base == SCRATCH:
        every, vocabulary = (style.every_word, style.vocabulary) if isinstance(style, CompactPrompt) else ([], [])
        made = train_tokenizer(style.render(features), [w for words in every for w in words], dataset.labels)
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
        context = context_of(spec.context, [PLACES[i % len(PLACES)] for i in range(len(sample))])
        check_ids(words_of, made, [*style.render(sample, context), *dataset.labels])
    except ValueError as error:
        raise RefusedError(f"--base {recipe.base}: {error}") from error
    label_tokens = [words_of.encode(label) for label in dataset.labels]
    return ModelSetup(model, made, spec, encoder, label_tokens, check_labels(label_tokens, dataset.labels)), features


def training_examples(recipe: Recipe, dataset: Dataset, setup: ModelSetup, features: Float32Array) -> DrawnExamples:
    """The training windows, whose `features` (N, F) are known, those of other lives, and with random
    labels windows that are no activity, drawn as often as the rest, and those of dropped labels, as often as these."""
    columns, context, truth, weights = [features], [], [], []
    rng = np.random.default_rng([recipe.seed, 2])
    for copy, variant in enumerate(dataset.variants(recipe)):
        if copy:
            columns.append(features_of(variant.xyz, variant.known, recipe.rate_hz, recipe.features))
        context.append(_some_dropped(context_of(setup.spec.context, variant.place), setup.spec.context, rng))
        truth.append(variant.truth)
        weights.append(variant.weight)
    if count := round(recipe.outliers * sum(map(len, truth))):
        rng, points = np.random.default_rng([recipe.seed, 1]), round(recipe.length_s * recipe.rate_hz)
        learnt = dataset.labelled.of(dataset.split.train)
        rows = rng.integers(len(learnt), size=count)
        both = negatives.windows(count, 2 * points, recipe.rate_hz, rng)
        before = np.where(rng.random((count, 1, 1)) < YOUNG, np.float32(np.nan), both[:, :points])
        known = learnt.known.at(rows)._replace(before=before)
        columns.append(features_of(both[:, points:], known, recipe.rate_hz, recipe.features))
        context.append(context_of(setup.spec.context, [None] * count))
        truth.append(rng.choice(dataset.labels, count))
        weights.append(np.full(count, np.concatenate(weights).mean()))
    if recipe.outliers and dataset.dropped is not None and len(dropped := dataset.dropped.of(dataset.split.train)):
        columns.append(features_of(dropped.xyz, dropped.known, recipe.rate_hz, recipe.features))
        context.append(context_of(setup.spec.context, dropped.stated_place))
        truth.append(np.random.default_rng([recipe.seed, 3]).choice(dataset.labels, len(dropped)))
        own, rest = dropped.weights, np.concatenate(weights).sum()
        weights.append(own * (recipe.outliers * rest / own.sum()))
    tokens = setup.encoder.tokens(np.concatenate(columns), np.concatenate(context))
    examples = _examples(tokens, np.concatenate(truth), recipe, dataset, setup)
    drawn = recipe.epoch_windows or min(len(examples), EPOCH_WINDOWS)
    return DrawnExamples(examples, np.concatenate(weights), drawn, word_dropout=recipe.word_dropout, seed=recipe.seed)


def examples_of(recipe: Recipe, dataset: Dataset, setup: ModelSetup, windows: LabelledWindows) -> Examples:
    """`windows` as they are, no word dropped, the context unknown: to validate or test on."""
    features = features_of(windows.xyz, windows.known, recipe.rate_hz, recipe.features)
    return _examples(setup.encoder.tokens(features), windows.truth, recipe, dataset, setup)


def _some_dropped(context: Words, kinds: Sequence[str], rng: np.random.Generator) -> Words:
    """`context` (N, C) with CONTEXT_DROPPED of the rows' words unknown: the model must work without them."""
    unknown = context_of(kinds, [None] * len(context))
    return np.where(rng.random((len(context), 1)) < CONTEXT_DROPPED, unknown, context)


def _examples(
    tokens: tuple[Ids, Ids], truth: NDArray[np.str_], recipe: Recipe, dataset: Dataset, setup: ModelSetup
) -> Examples:
    ids, mask = tokens
    check_prompt_length(ids.shape[1], recipe.max_tokens)
    label, either = indices(truth.tolist(), dataset.labels)
    return Examples(ids, mask, label, setup.label_tokens, either=either)


def indices(truth: Sequence[str], labels: Sequence[str]) -> tuple[Ids, list[list[int]]]:
    """The index (N,) of each truth among the labels; beyond them, among truths that are one of several labels, whose
    indices are the second. Raises RefusedError for a truth that is none of the labels."""
    index = {label: i for i, label in enumerate(labels)}
    several = sorted(set(truth) - set(index))
    if unknown := [label for name in several for label in alternatives(name) if label not in index]:
        raise RefusedError(f"the recordings hold {unknown[0]!r}, which is none of the labels {', '.join(labels)}")
    either = [[index[label] for label in alternatives(name)] for name in several]
    index |= {name: len(labels) + i for i, name in enumerate(several)}
    return np.array([index[name] for name in truth], dtype=np.int64), either
