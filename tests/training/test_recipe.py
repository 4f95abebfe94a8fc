"""Options become a recipe: every choice left open is made, by base and prompt; contradictions are refused."""

from pathlib import Path

import pytest
from training.errors import RefusedError
from training.options import Options
from training.recipe import COMPACT_FEATURES, Recipe, check_range, finalise

from hard.model import bundle
from hard.model.prompts import SEED_FEATURES


def made(**options: object) -> Recipe:
    return finalise(Options(data=(), out=Path("mine"), **options))  # type: ignore[arg-type]


def test_from_scratch_the_defaults_are_those_of_a_small_model() -> None:
    recipe = made()
    assert (recipe.batch, recipe.accumulate, recipe.lr, recipe.schedule) == (64, 1, 3e-3, "cosine")
    assert (recipe.epochs, recipe.label_smoothing, recipe.name) == (4, 0.05, "mine")
    assert (recipe.features, recipe.copies) == (COMPACT_FEATURES, 3)
    assert recipe.base_bundle is None


def test_from_a_checkpoint_with_the_seed_prompt_nothing_is_augmented() -> None:
    recipe = made(base="google/flan-t5-small", prompt="seed")
    assert (recipe.batch, recipe.accumulate, recipe.lr, recipe.schedule) == (8, 2, 1e-3, "constant")
    assert (recipe.copies, recipe.word_dropout, recipe.outliers, recipe.label_smoothing) == (0, 0, 0, 0)
    assert recipe.features == SEED_FEATURES
    assert recipe.name == "flan-t5-small-seed"


def test_what_a_bundle_fixes_is_taken_over() -> None:
    recipe, manifest = made(base="default"), bundle.read().manifest
    assert recipe.features == manifest.prompt.features
    assert (recipe.prompt, recipe.length_s, recipe.rate_hz) == ("compact", 4.0, 20.0)
    assert (recipe.name, recipe.epochs, recipe.lr) == ("mine", 6, 2e-3)
    assert recipe.base_bundle is not None
    assert recipe.base_bundle.manifest == manifest
    assert recipe.base == str(bundle.find())


def test_a_choice_that_is_given_stays() -> None:
    assert made(base="default", lr=0.5).lr == 0.5
    assert made(copies=0, outliers=0.0, features=("v.std",)).features == ("v.std",)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"length_s": 10.0}, "length s"),
        ({"features": ("v.std",)}, "features"),
        ({"prompt": "seed"}, "prompt"),
        ({"levels": 8}, "levels"),
        ({"context": ("place",)}, "context"),
    ],
)
def test_what_contradicts_the_bundle_is_refused(options: dict[str, object], name: str) -> None:
    with pytest.raises(RefusedError, match=f"is a bundle and fixes {name}: leave it out"):
        made(base="default", **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prompt": "seed", "features": ("v.std",)}, "leave --features out"),
        ({"prompt": "seed", "context": ("place",)}, "the seed prompt has no context 'place'"),
        ({"context": ("weather",)}, "the compact prompt has no context 'weather'"),
        ({"features": ("v.std", "v.std")}, "named twice"),
        ({"features": ("no.such",)}, "there is no feature 'no.such'"),
        ({"split": "random", "holdout": ("3",)}, "parts windows, not people: leave --holdout out"),
        ({"split": "time", "validation": 1}, "has every subject in every part: leave --validation out"),
        ({"rate_hz": 4.0}, "add --outliers 0"),
        ({"lr": 0.0}, "--lr must be above 0, not 0"),
    ],
)
def test_choices_that_contradict_one_another_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        made(**options)


def test_a_number_at_its_limit_is_in_range() -> None:
    check_range("--levels", 100, 2, 100)
    check_range("--levels", None, 2, 100)
    with pytest.raises(RefusedError, match="--levels must be 2 or more, at most 100, not 101"):
        check_range("--levels", 101, 2, 100)
