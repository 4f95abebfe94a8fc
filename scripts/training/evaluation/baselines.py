"""Other models on the same windows and split: the majority label, two boostings, a small CNN.

Each learns from the training windows, with the very copies that the model learns from, and predicts the test windows.
Only the CNN chooses an epoch, on the validation windows; the others have nothing to choose. Knows no bundle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import nn

from hard.recordings.scores import EITHER, score
from hard.records import Float32Array, Float64Array
from training.data.dataset import Dataset
from training.data.examples import draw, features_of
from training.data.loading import LabelledWindows
from training.recipe import EPOCH_WINDOWS, Recipe

MAJORITY, MEANS, BOOSTING, CNN = "majority", "boosting, mean and std", "boosting, same features", "CNN"
TREES = 200  # of boosting, a tree a label each; scikit-learn's other defaults
CHANNELS = (64, 128, 128)
KERNEL = 5
RATE = 1e-3
BATCH = 128

Texts = NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Windows `xyz` (N, T, 3) in m/s², the model's own `features` (N, F), `truth` (N,) and `weight` (N,) of them."""

    xyz: Float32Array
    features: Float32Array
    truth: Texts
    weight: Float64Array


@dataclass(frozen=True, slots=True)
class Rules:
    """The model's own: at most so many epochs of so many windows, drawn by weight (None: all, to a limit), and how many
    epochs without gain end it."""

    epochs: int
    patience: int
    seed: int
    epoch_windows: int | None = None
    with_cnn: bool = True


def parts_of(recipe: Recipe, dataset: Dataset) -> tuple[Part, Part, Part]:
    """Windows to learn from, with the very copies that the model learnt from, to validate on, and to test on. Those
    whose truth is one of several labels are in the last alone: no baseline can learn from them."""
    xyz, features, truth, weight = [], [], [], []
    for variant in dataset.variants(recipe):
        rows = np.flatnonzero(np.char.find(variant.truth, EITHER) < 0)
        xyz.append(variant.xyz[rows])
        features.append(features_of(xyz[-1], variant.known.at(rows), recipe.rate_hz, recipe.features))
        truth.append(variant.truth[rows])
        weight.append(variant.weight[rows])
    validate, test = (dataset.labelled.of(groups) for groups in (dataset.split.validation, dataset.split.test))
    validated, tested = (
        Part(part.xyz, _features(recipe, part), part.truth, part.weights) for part in (validate.of_one_label, test)
    )
    learnt = Part(np.concatenate(xyz), np.concatenate(features), np.concatenate(truth), np.concatenate(weight))
    return learnt, validated, tested


def _features(recipe: Recipe, windows: LabelledWindows) -> Float32Array:
    return features_of(windows.xyz, windows.known, recipe.rate_hz, recipe.features)


def predict(
    learn: Part, validate: Part, test: Part, rules: Rules, done: Callable[[str], None] = lambda name: None
) -> dict[str, list[Texts]]:
    """By name, the labels (N,) that each baseline gives the windows of `test`: several times where it has seeds.

    `learn` holds the other lives too: boosting and CNN learn from just what the model learns from. `done` is
    called with the name of each that was trained.
    """
    labels = {MAJORITY: [_majority(learn, test)]}
    for name, inputs, asked in ((MEANS, means(learn), means(test)), (BOOSTING, learn.features, test.features)):
        labels[name] = [_boosting(inputs, learn, asked, rules)]
        done(name)
    if rules.with_cnn:
        labels[CNN] = [_cnn(learn, validate, test, rules)]
        done(CNN)
    return labels


def means(part: Part) -> Float32Array:
    """Mean and standard deviation (N, 6) of x, y, z."""
    return np.concatenate((part.xyz.mean(axis=1), part.xyz.std(axis=1)), axis=1)


def _majority(learn: Part, test: Part) -> Texts:
    most = Counter(learn.truth.tolist()).most_common(1)[0][0]
    return np.full(len(test.truth), most)


def _boosting(inputs: Float32Array, learn: Part, asked: Float32Array, rules: Rules) -> Texts:
    trees = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=False, random_state=rules.seed)
    return np.asarray(trees.fit(inputs, learn.truth, sample_weight=learn.weight).predict(asked))


class Network(nn.Sequential):
    """(B, 3, T) → (B, K): three convolutions over time, normalised, the length halved between; then the mean."""

    def __init__(self, labels: int) -> None:
        layers: list[nn.Module] = []
        for before, after in zip((3, *CHANNELS), CHANNELS, strict=False):
            layers += [nn.Conv1d(before, after, KERNEL, padding="same"), nn.BatchNorm1d(after), nn.ReLU()]
            layers.append(nn.MaxPool1d(2))
        super().__init__(
            *layers[:-1], nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(CHANNELS[-1], labels)
        )


def _cnn(learn: Part, validate: Part, test: Part, rules: Rules) -> Texts:
    """Adam at a constant rate; keeps the epoch with the best macro-F1 on `validate`, as the model does."""
    labels, rng = np.unique(learn.truth), np.random.default_rng(rules.seed)
    count = rules.epoch_windows or min(len(learn.truth), EPOCH_WINDOWS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rules.seed)
        network = Network(len(labels))
        centre, spread = learn.xyz.mean(axis=(0, 1)), learn.xyz.std(axis=(0, 1)) + 1e-3
        inputs, asked, last = (
            torch.from_numpy(np.ascontiguousarray(((part.xyz - centre) / spread).transpose(0, 2, 1), dtype=np.float32))
            for part in (learn, validate, test)
        )
        target = torch.from_numpy(np.searchsorted(labels, learn.truth))
        adam = torch.optim.Adam(network.parameters(), lr=RATE)
        best, since, kept = -1.0, 0, {}
        for _ in range(rules.epochs):
            order = rng.permutation(draw(learn.weight, count, rng))
            _epoch(network, adam, inputs, target, torch.from_numpy(order))
            reached = score(validate.truth.tolist(), labels[_best(network, asked)].tolist()).macro_f1
            since += 1
            if reached > best:
                best, since = reached, 0
                kept = {name: value.clone() for name, value in network.state_dict().items()}
            if since >= rules.patience:
                break
        network.load_state_dict(kept)
        return np.asarray(labels[_best(network, last)])


def _epoch(
    network: Network, adam: torch.optim.Adam, inputs: torch.Tensor, target: torch.Tensor, order: torch.Tensor
) -> None:
    network.train()
    for rows in order.split(BATCH):
        if len(rows) < 2:  # too few for batch normalisation
            continue
        adam.zero_grad()
        nn.functional.cross_entropy(network(inputs[rows]), target[rows]).backward()
        adam.step()


def _best(network: Network, inputs: torch.Tensor) -> NDArray[np.int64]:
    network.eval()
    with torch.inference_mode():
        return np.concatenate([network(part).argmax(dim=1).numpy() for part in inputs.split(512)])


def mean_macro_f1(truth: Sequence[str], predictions: Sequence[Texts]) -> float:
    """macro-F1 against `truth` (N,), the mean over seeds."""
    return float(np.mean([score(list(truth), labels.tolist()).macro_f1 for labels in predictions]))
