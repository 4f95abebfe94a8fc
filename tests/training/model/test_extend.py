"""A bundle's model gets new labels: pieces, embeddings that begin like the nearest label's, and what it learns then."""

from pathlib import Path

import pytest
from support.scripts import script
from training.base_bundle import BEFORE
from training.data import loading
from training.model.extend import grow, nearest
from training.model.initial import pretrained
from training.model.tokenizer import extended
from training.options import Source
from transformers import AutoTokenizer

from hard.model import bundle
from hard.model.classifier import load
from hard.recordings.default_rules import bundle_devices


def test_a_new_label_gets_a_piece_of_its_own_and_the_old_ids_stay() -> None:
    before = AutoTokenizer.from_pretrained(bundle.find())
    after = extended(before, ("Walking", "Climbing Stairs"))
    assert len(after) == len(before) + 2
    assert before.unk_token_id not in after("Climbing Stairs")["input_ids"]
    for text in ("Walking", "Sitting", "v.std:03 tilt.cos:09"):
        assert after(text)["input_ids"] == before(text)["input_ids"]
    assert extended(before, ("Walking",)) is before


def test_the_row_of_a_new_label_begins_as_that_of_the_nearest() -> None:
    model, before = pretrained(str(bundle.find()))
    after = extended(before, ("Rowing",))
    grow(model, before, after, {"Rowing": "Walking"})
    row, known = after("Rowing")["input_ids"][0], before("Walking")["input_ids"][0]
    assert row >= len(before)
    assert (model.shared.weight[row] == model.shared.weight[known]).all()
    rows = model.shared.weight.shape[0]
    grow(model, after, after, {})
    assert model.shared.weight.shape[0] == rows


def test_the_nearest_label_is_the_one_that_the_bundle_gives_most_often(recording: Path) -> None:
    runs, _ = loading.load([recording], Source(labels=(("Strolling", "Walking"),)))
    learnt = loading.windows_of(runs, bundle_devices(bundle.read(), 1.0).grid)
    found = nearest(bundle.read(), learnt)
    assert found.keys() == {"Strolling"}
    assert found["Strolling"] in bundle.read().manifest.labels


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
    manifest, base = bundle.read(out).manifest, bundle.read()
    assert manifest.labels == (*base.manifest.labels, "Skipping Rope")
    assert manifest.prompt == base.manifest.prompt
    assert manifest.training.base == base.model
    assert manifest.training.adapted_from is not None
    assert manifest.training.adapted_from.subjects == base.manifest.training.subjects
    figures = manifest.training.metrics.test
    assert figures is not None
    before = figures.baselines[BEFORE]
    assert figures.macro_f1 > before.macro_f1
    assert before.f1["Skipping Rope"] == 0
    assert figures.f1["Skipping Rope"] > 0.6
    card = (out / "README.md").read_text()
    assert f"| | this model | {BEFORE} |" in card.replace("|  |", "| |")
    assert "**The split is in time (same people, later).**" in card
    assert "Skipping Rope" in load(str(out), "torch").labels
    assert "LEAKY: this bundle was trained on" in script("evaluate.py", out, mine).stdout
