"""The model to be trained, its tokenizer and its examples, from a small data set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training.data import dataset, loading
from training.errors import RefusedError
from training.model.setup import examples_of, indices, set_up, training_examples
from training.options import Options, Source
from training.recipe import finalise

from hard.model import bundle

FEATURES = ("v.std", "m.q90", "y.mean")


def test_from_scratch_every_word_is_a_token_and_copies_and_outliers_join_the_windows(
    recording: Path, tmp_path: Path
) -> None:
    recipe = finalise(Options(data=(recording,), out=tmp_path / "m", features=FEATURES, levels=8, copies=1))
    runs, _ = loading.load(recipe.data, recipe.source)
    made = dataset.prepare(recipe, runs, dataset.split_windows(recipe, runs))
    setup, features = set_up(recipe, made, tmp_path)
    learnt = made.labelled.of(made.split.train)
    assert features.shape == (len(learnt), len(FEATURES))
    assert (tmp_path / bundle.TOKENIZER).is_file()
    assert setup.encoder.length == len(FEATURES) + 1
    shown = training_examples(recipe, made, setup, features)
    examples = shown.examples
    assert len(shown) == len(examples)
    assert len(training_examples(replace(recipe, epoch_windows=77), made, setup, features)) == 77
    windows = sum(len(variant.truth) for variant in made.variants(recipe))
    assert windows > len(learnt)
    assert len(examples) == windows + round(0.05 * windows)
    assert examples.longest == len(FEATURES) + 1
    assert len(np.unique(examples.label)) == 3
    assert len(examples_of(recipe, made, setup, learnt)) == len(learnt)
    with pytest.raises(RefusedError, match="a prompt has 4 tokens, over the limit of 3"):
        examples_of(replace(recipe, max_tokens=3), made, setup, learnt)


def test_the_place_is_a_word_that_half_of_the_examples_lack(recording: Path, tmp_path: Path) -> None:
    recipe = finalise(
        Options(
            data=(recording,), out=tmp_path / "m", features=FEATURES, levels=8, copies=0, outliers=0.0,
            context=("place",), source=Source(place="right wrist"),
        )
    )  # fmt: skip
    runs, _ = loading.load(recipe.data, recipe.source)
    made = dataset.prepare(recipe, runs, dataset.split_windows(recipe, runs))
    setup, features = set_up(recipe, made, tmp_path)
    assert setup.encoder.length == 1 + len(FEATURES) + 1
    wrist, unknown = (setup.tokenizer.convert_tokens_to_ids(f"▁place:{place}") for place in ("wrist", "any"))
    first = training_examples(recipe, made, setup, features).examples.ids[:, 0]
    assert set(first.tolist()) == {wrist, unknown}
    assert (first == wrist).mean() == pytest.approx(0.5, abs=0.1)
    learnt = made.labelled.of(made.split.train)
    assert (examples_of(recipe, made, setup, learnt).ids[:, 0] == unknown).all()


def test_a_truth_that_is_no_label_is_refused() -> None:
    rows, either = indices(["b", "a", "b|c", "a|b"], ["a", "b", "c"])
    assert (rows.tolist(), either) == ([1, 0, 4, 3], [[0, 1], [1, 2]])
    with pytest.raises(RefusedError, match="the recordings hold 'c', which is none of the labels a, b"):
        indices(["b", "c"], ["a", "b"])
