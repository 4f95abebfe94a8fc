"""The model card follows from the manifest's fields alone."""

import re

import pytest
from msgspec import structs
from training.report import model_card

from hard.model import bundle
from hard.model.bundle import Manifest, SplitKind
from hard.model.leakage import SEEN_BEFORE


@pytest.fixture
def manifest() -> Manifest:
    return bundle.read().manifest


def test_the_card_of_the_shipped_bundle_is_that_of_its_manifest(manifest: Manifest) -> None:
    assert (bundle.find() / "README.md").read_text() == model_card.model_card(manifest)


def test_a_card_of_people_whom_the_bundle_before_has_seen_says_so(manifest: Manifest) -> None:
    known = manifest.training.subjects["validation"][0]
    training = structs.replace(manifest.training, seen_before=("3", known))
    page = model_card.model_card(structs.replace(manifest, training=training))
    for piece in (
        f"# hard-default ({SEEN_BEFORE})",
        f"**{SEEN_BEFORE}.**",
        f"## Figures, validation ({SEEN_BEFORE})",
        f"## Abstaining ({SEEN_BEFORE})",
        f"## Figures, test ({SEEN_BEFORE})",
    ):
        assert piece in page
    assert SEEN_BEFORE not in model_card.model_card(manifest)


def test_the_card_names_what_holds_no_gravity(manifest: Manifest) -> None:
    training = structs.replace(manifest.training, without_gravity=("belt", "watch"))
    page = model_card.model_card(structs.replace(manifest, training=training))
    assert "**Gravity was taken out** of the accelerations of belt, watch." in page
    assert "**Gravity was taken out**" not in model_card.model_card(manifest)


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        ("subject", "The split is by subject."),
        ("time", "**The split is in time (same people, later).**"),
        ("random", "**LEAKY, windows split at random.**"),
    ],
)
def test_the_kind_of_split_decides_what_the_card_says_of_it(
    manifest: Manifest, split: SplitKind, sentence: str
) -> None:
    """Neither the name nor the command does, whatever words they hold."""
    training = structs.replace(manifest.training, split=split, command="finetune.py LEAKY --split random")
    page = model_card.model_card(structs.replace(manifest, training=training, name="LEAKY, same people, later"))
    assert sentence in page
    marks = re.findall(r"^## Figures, validation(.*)$", page, re.MULTILINE)
    assert marks == [
        {"subject": "", "time": " (same people, later)", "random": " (LEAKY, windows split at random)"}[split]
    ]


def test_the_card_has_what_the_prompt_begins_with_and_the_least_rate(manifest: Manifest) -> None:
    prompt = structs.replace(manifest.prompt, context=("place",))
    metrics = structs.replace(manifest.training.metrics, macro_f1_by_rate=((25.0, 0.93), (6.0, 0.5)))
    training = structs.replace(manifest.training, metrics=metrics)
    page = model_card.model_card(structs.replace(manifest, prompt=prompt, training=training, least_rate_hz=25.0))
    for piece in ("tokens; begins with place |", "is good: **25 Hz**", "| 6 Hz | 0.500 |"):
        assert piece in page
