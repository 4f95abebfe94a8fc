"""Prompt styles: their exact words, the levels at their edges, which specifications are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hard.model.prompts import (
    SEED_FEATURES,
    VERSIONS,
    CompactPrompt,
    PromptSpec,
    SeedPrompt,
    context_of,
    prompt_style,
    quantile_edges,
)

COMPACT = PromptSpec("compact", 2, ("y.std", "tilt.cos"), ((0.5, 1.0, 2.0), (0.0,)))


def test_seed_writes_mean_and_deviation_of_each_axis() -> None:
    style = prompt_style(PromptSpec("seed", 1, SEED_FEATURES))
    row = np.array([[-1.152, 4.2, 9.034, 8.71, 1.766, 5.834]], dtype=np.float32)
    assert style.render(row) == [
        "classify activity: x-axis mean -1.15 std 4.20, y-axis mean 9.03 std 8.71, z-axis mean 1.77 std 5.83"
    ]


def test_compact_writes_one_word_a_feature() -> None:
    features = np.array([[0.4, -1.0], [0.7, 3.0], [9.9, 0.0]], dtype=np.float32)
    assert prompt_style(COMPACT).render(features) == [
        "y.std:00 tilt.cos:00",
        "y.std:01 tilt.cos:01",
        "y.std:03 tilt.cos:01",
    ]


def test_what_is_not_known_has_a_word_of_its_own() -> None:
    features = np.array([[np.nan, -1.0], [0.7, np.nan]], dtype=np.float32)
    assert prompt_style(COMPACT).render(features) == ["y.std:? tilt.cos:00", "y.std:01 tilt.cos:?"]


def test_edges_are_those_of_the_known_values() -> None:
    values = np.array([[1, np.nan], [2, np.nan], [3, np.nan], [np.nan, np.nan]], dtype=np.float32)
    assert quantile_edges(values, 2) == ((2.0,), (0.0,))


def test_words_of_context_come_first_and_are_unknown_unless_stated() -> None:
    spec = PromptSpec("compact", 2, COMPACT.features, COMPACT.edges, ("place",))
    features = np.array([[0.4, -1.0], [0.7, 3.0]], dtype=np.float32)
    assert prompt_style(spec).render(features) == ["place:any y.std:00 tilt.cos:00", "place:any y.std:01 tilt.cos:01"]
    stated = context_of(spec.context, ["wrist", None])
    assert prompt_style(spec).render(features, stated)[0] == "place:wrist y.std:00 tilt.cos:00"
    assert prompt_style(spec).render(features, stated)[1].startswith("place:any ")
    assert prompt_style(COMPACT).render(features, context_of((), ["wrist", None])) == prompt_style(COMPACT).render(
        features
    )


@pytest.mark.parametrize(("style", "kind"), [("compact", "weather"), ("seed", "place")])
def test_context_that_a_style_does_not_know_is_refused(style: str, kind: str) -> None:
    with pytest.raises(ValueError, match=f"prompt style '{style}' has no context '{kind}'"):
        prompt_style(PromptSpec(style, VERSIONS[style], SEED_FEATURES, ((0.0,),) * 6, (kind,)))


def test_a_value_on_an_edge_belongs_above_it() -> None:
    levels = CompactPrompt(COMPACT.features, COMPACT.edges).levels(
        np.array([[0.5, 0.0], [1.0, -1e-7], [2.0, 0.0], [0.49999997, 0.0]], dtype=np.float32)
    )
    assert levels.tolist() == [[1, 1], [2, 0], [3, 1], [0, 1]]


@given(arrays(np.float32, (5, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_every_word_is_in_the_vocabulary(features: np.ndarray) -> None:
    style = CompactPrompt(COMPACT.features, COMPACT.edges, ("place",))
    for prompt in style.render(features):
        for word, words in zip(prompt.split(" "), style.every_word, strict=True):
            assert word in words


def test_no_rows_give_no_prompts() -> None:
    assert prompt_style(COMPACT).render(np.empty((0, 2), np.float32)) == []
    assert SeedPrompt().render(np.empty((0, 6), np.float32)) == []


@pytest.mark.parametrize(("style", "version"), [("haiku", 1), ("compact", 1), ("seed", 0)])
def test_an_unknown_style_or_version_is_refused(style: str, version: int) -> None:
    with pytest.raises(ValueError, match="unknown to this version"):
        prompt_style(PromptSpec(style, version, COMPACT.features, COMPACT.edges))


def test_seed_is_refused_with_other_features() -> None:
    with pytest.raises(ValueError, match="mean and deviation"):
        prompt_style(PromptSpec("seed", 1, SEED_FEATURES[::-1]))


@pytest.mark.parametrize("edges", [(), (1.0, 1.0), (2.0, 1.0), tuple(range(100)), (0.0, float("nan"))])
def test_edges_that_do_not_rise_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"'y\.std' must be 1 to 99 rising"):
        prompt_style(PromptSpec("compact", 2, ("y.std",), (edges,)))


def test_each_feature_needs_its_edges() -> None:
    with pytest.raises(ValueError, match="2 features but edges for 1"):
        prompt_style(PromptSpec("compact", 2, COMPACT.features, COMPACT.edges[:1]))


def test_quantile_edges_fill_levels_equally_and_merge_ties() -> None:
    features = np.column_stack((np.arange(1000), np.zeros(1000), np.arange(1000) % 4 == 0)).astype(np.float32)
    edges = quantile_edges(features, 4)
    assert [len(e) for e in edges] == [3, 1, 2]
    style = prompt_style(PromptSpec("compact", 2, ("x.mean", "y.mean", "z.mean"), edges))
    assert isinstance(style, CompactPrompt)
    assert np.bincount(style.levels(features)[:, 0]).tolist() == [250] * 4
