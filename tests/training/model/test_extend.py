"""A bundle as the base: its features and labels kept, a new label added, before and after side by side."""

import io
import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console
from support.scripts import script
from training import crossval
from training.data import loading, split
from training.data.dataset import prepare
from training.errors import RefusedError
from training.model import extend
from training.model.tokenizer import extended
from training.recipe import Recipe
from training.report import model_card

from hard.model import bundle
from hard.model.classifier import load
from hard.model.leakage import SEEN_BEFORE
from hard.recordings.default_rules import default_grid


def recipe(tmp_path: Path, **options: object) -> Recipe:
    return Recipe(data=(), out=tmp_path / "mine", base="default", **options)  # type: ignore[arg-type]


def test_what_the_bundle_fixes_is_taken_over(tmp_path: Path) -> None:
    made, manifest = extend.settled(recipe(tmp_path)), bundle.read().manifest
    assert made.features == manifest.prompt.features
    assert (made.prompt, made.length_s, made.rate_hz) == ("compact", 4.0, 20.0)
    assert made.name == "mine"
    assert extend.settled(made) == made
    assert extend.settled(recipe(tmp_path, lr=0.5)).lr == 0.5


@pytest.mark.parametrize(
    ("options", "name"),
    [({"length_s": 10.0}, "length s"), ({"features": ("v.std",)}, "features"), ({"prompt": "seed"}, "prompt")],
)
def test_what_contradicts_the_bundle_is_refused(tmp_path: Path, options: dict[str, object], name: str) -> None:
    with pytest.raises(RefusedError, match=f"is a bundle and fixes {name}: leave it out"):
        extend.settled(recipe(tmp_path, **options))


def test_a_new_label_gets_a_piece_of_its_own_and_the_old_ids_stay() -> None:
    from transformers import AutoTokenizer

    before = AutoTokenizer.from_pretrained(bundle.find())
    after = extended(before, ("Walking", "Climbing Stairs"))
    assert len(after) == len(before) + 2
    assert before.unk_token_id not in after("Climbing Stairs")["input_ids"]
    for text in ("Walking", "Sitting", "v.std:03 tilt.cos:09"):
        assert after(text)["input_ids"] == before(text)["input_ids"]
    assert extended(before, ("Walking",)) is before


def test_a_split_in_time_parts_each_activity_without_overlap(recording: Path) -> None:
    runs, _ = loading.load([recording], None, None, "m/s2")
    labelled, parts = split.in_time([run for run in runs if run.subject == "1"], default_grid(2.0, 20.0, 0.5))
    assert parts.parts() == {"train": ["1"], "validation": ["1"], "test": ["1"]}
    assert parts.kind == "time"
    assert parts.mark("test") == "same people, later"
    for truth in ("Walking", "Jogging", "Sitting"):
        spans = []
        for part in ("train", "validation", "test"):
            own = [w for w, t, s in zip(labelled.windows, labelled.truth, labelled.subject, strict=True)
                   if t == truth and s == part]  # fmt: skip
            assert own
            spans.append((min(w.start for w in own), max(w.end for w in own)))
        assert spans[0][1] <= spans[1][0] + 0.1
        assert spans[1][1] <= spans[2][0] + 0.1


@pytest.fixture
def known(recording: Path, tmp_path: Path) -> Path:
    """Recordings under the name of those that the shipped bundle was made from."""
    path = tmp_path / "motionsense_50hz_raw.txt.xz"
    path.write_bytes(lzma.compress(recording.read_bytes(), preset=0))
    return path


def prepared(data: Path, **options: Any) -> tuple[split.Split, str]:
    told = io.StringIO()
    made = extend.settled(Recipe(data=(data,), out=data.parent / "mine", base="default", copies=0, **options))
    return prepare(made, Console(file=told, width=200)).parts, told.getvalue()


def test_people_whom_the_bundle_has_met_are_told(known: Path, recording: Path) -> None:
    parts, told = prepared(known, holdout=("3",), validation=1)
    assert parts.seen_before == (*parts.validation, "3")
    assert parts.mark("validation") == parts.mark("test") == SEEN_BEFORE
    assert f"LEAKY: default has seen the subjects {parts.validation[0]}, 3;" in told
    assert replace(parts, kind="time").mark("test") == f"same people, later; {SEEN_BEFORE}"
    parts, told = prepared(recording, holdout=("3",))  # others of the same names
    assert parts.seen_before == ()
    assert "LEAKY" not in told


def test_folds_of_people_whom_the_bundle_has_met_are_told(known: Path, tmp_path: Path) -> None:
    folds = Recipe(data=(known,), out=tmp_path / "cv", base="default")
    assert crossval.seen_before(bundle.read(), folds, [("1", "2"), ("3",)]) == ("1", "2", "3")
    assert crossval.seen_before(bundle.read(), folds, [("77",)]) == ()
    assert crossval.seen_before(None, folds, [("1",)]) == ()


def test_a_card_of_people_whom_the_bundle_has_met_says_so() -> None:
    manifest = bundle.read().manifest
    told = dict(manifest.training.metrics)
    told["cross_validation"] = {**told["cross_validation"], "seen_before": ["3"]}
    training = structs.replace(manifest.training, metrics=told, seen_before=("3",))
    marked = structs.replace(manifest, training=training)
    page = model_card.model_card(marked)
    for piece in (
        f"# hard-default ({SEEN_BEFORE})",
        f"**{SEEN_BEFORE}.**",
        f"## Figures, validation ({SEEN_BEFORE})",
        f"## Abstaining ({SEEN_BEFORE})",
        f"## Cross-validation ({SEEN_BEFORE})\n\n**{SEEN_BEFORE}: 3.**",
    ):
        assert piece in page
    assert SEEN_BEFORE not in model_card.model_card(manifest)


@pytest.mark.slow
def test_the_shipped_bundle_learns_an_activity_of_one_person(recording: Path, tmp_path: Path) -> None:
    """One person, a new label, and labels of the bundle that the recordings lack."""
    mine, out = tmp_path / "mine.txt", tmp_path / "adapted"
    lines = [line.partition(",")[2] for line in recording.read_text().splitlines() if line[0] in "123"]
    mine.write_text("\n".join(f"1,{line}" for line in lines).replace("Jogging", "Skipping Rope"))
    assert "for one person there is --split time" in script("finetune.py", mine, "--out", out).stderr
    options = ("--base", "default", "--split", "time", "--hop", "0.25", "--epochs", "4")
    done = script("finetune.py", mine, "--out", out, *options, "--threads", "1", "--no-baselines")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "new labels: Skipping Rope" in done.stdout
    assert "the recordings have no Jogging, Upstairs, Downstairs, Standing: the label is kept" in done.stdout
    assert bundle.verify(out) == []
    manifest, before = bundle.read(out).manifest, bundle.read()
    assert manifest.labels == (*before.manifest.labels, "Skipping Rope")
    assert manifest.prompt == before.manifest.prompt
    assert manifest.training.base == before.model
    assert manifest.training.adapted_from is not None
    assert manifest.training.adapted_from.subjects == before.manifest.training.subjects
    told = manifest.training.metrics["test"]
    assert told["macro_f1"] > told["baselines"][extend.BEFORE]["macro_f1"]
    assert told["baselines"][extend.BEFORE]["f1"]["Skipping Rope"] == 0
    assert told["f1"]["Skipping Rope"] > 0.6
    card = (out / "README.md").read_text()
    assert f"| | this model | {extend.BEFORE} |" in model_card.replace("|  |", "| |")
    assert "**The split is in time (same people, later).**" in card
    assert "Skipping Rope" in load(str(out), "torch").labels
    assert "LEAKY: this bundle was trained on" in script("evaluate.py", out, mine).stdout
