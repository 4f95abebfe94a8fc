"""The bundle on disk: written, read and verified; each problem is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hard.model import bundle
from hard.model.bundle import BundleError, Manifest, StatesSpec, Training, WindowSpec
from hard.model.familiarity import FamiliaritySpec, packed
from hard.model.figures import TrainingMetrics
from hard.model.prompts import PromptSpec

PARTS = ("spiece.model", "model.onnx", "config.json", "model.safetensors")
MANIFEST = Manifest(
    format=bundle.FORMAT,
    name="test",
    labels=("Walking", "Sitting"),
    window=WindowSpec(4.0, 20.0),
    prompt=PromptSpec("compact", 2, ("y.std", "tilt.cos"), ((0.5, 1.0), (0.0,))),
    up=(0.0, 1.0, 0.0),
    forward=(0.0, 0.0, 1.0),
    temperature=1.0,
    training=Training(
        "finetune", "scratch", "none", {"test": ["3"]}, "subject", 0, "float32", {"numpy": "2"}, TrainingMetrics()
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound bundle, but for its weights, which these tests don't read."""
    for name in PARTS:
        (tmp_path / name).write_text(name)
    bundle.write(tmp_path, MANIFEST)
    return tmp_path


def change(folder: Path, **fields: Any) -> None:
    manifest = json.loads((folder / "hard.json").read_text())
    for name, value in fields.items():
        *path, last = name.split("__")
        part = manifest
        for step in path:
            part = part[step]
        part[last] = value
    (folder / "hard.json").write_text(json.dumps(manifest))


def assert_refused(folder: Path, sentence: str) -> None:
    """`read` and `verify` both say it, in one line that names the bundle."""
    with pytest.raises(BundleError, match=sentence) as refusal:
        bundle.read(folder)
    assert "\n" not in str(refusal.value)
    assert str(folder) in str(refusal.value)
    assert str(refusal.value) in bundle.verify(folder)


def test_a_bundle_is_read_as_it_was_written(folder: Path) -> None:
    read = bundle.read(folder)
    assert msgspec.structs.replace(read.manifest, files={}) == MANIFEST
    assert set(read.manifest.files) == set(PARTS)
    assert bundle.verify(folder) == []
    assert read.manifest.window.points == 80


SPLIT = StatesSpec(((0.9, 0.1), (0.2, 0.8)), 0.5)


def test_states_and_parents_are_those_of_the_manifest_or_the_default_ones(folder: Path) -> None:
    read = bundle.read(folder)
    assert read.states() == bundle.even_states(2, bundle.STAY, bundle.TEMPERING)
    assert read.states().transition == ((bundle.STAY, pytest.approx(0.05)), (pytest.approx(0.05), bundle.STAY))
    assert read.parents() == {}, "a parent of one label says no more than the label"
    labels = ("Walking", "Upstairs", "Sitting", "Standing", "Lying")
    assert bundle.Bundle(folder, msgspec.structs.replace(MANIFEST, labels=labels)).parents() == {
        "on foot": ("Walking", "Upstairs"), "still": ("Sitting", "Standing", "Lying"),
    }  # fmt: skip
    both = {"anything": ("Walking", "Sitting")}
    read = bundle.write(folder, msgspec.structs.replace(MANIFEST, states=SPLIT, parents=both))
    assert (read.states(), read.parents()) == (SPLIT, both)
    assert bundle.read(folder).manifest.states == SPLIT


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"states": {"transition": [[1.0, 0.0]], "tempering": 0.5}}, "transition matrix that is not 2 × 2"),
        ({"states": {"transition": [[1, 0], [0.5, 0.4]], "tempering": 0.5}}, "row that is no distribution"),
        ({"states": {"transition": [[1, 0], [1.5, -0.5]], "tempering": 0.5}}, "row that is no distribution"),
        ({"states": {"transition": [[1, 0], [0, 1]], "tempering": 0}}, "tempering that is not above zero"),
        ({"parents": {"moves": ["Walking", "Cycling"]}}, "parent 'moves'"),
        ({"parents": {"Walking": ["Sitting"]}}, "parent 'Walking'"),
    ],
)
def test_states_and_parents_that_cannot_be_are_refused(folder: Path, fields: dict[str, Any], sentence: str) -> None:
    change(folder, **fields)
    assert_refused(folder, sentence)


def familiarity(**changes: Any) -> FamiliaritySpec:
    """Of pooled outputs of two numbers, one label and one hidden unit."""
    parts = {"whitening": np.eye(2), "means": np.zeros((1, 2)), "hidden": np.ones((4, 1)), "output": np.ones(1)}
    arrays = {name: packed(array.astype(np.float32)) for name, array in parts.items()}
    return FamiliaritySpec(**{"min_familiar": 0.03, "quantiles": ((0.0, 1.0),) * 2, **arrays, **changes})


def test_the_familiarity_is_read_as_it_was_written_and_recommends_a_threshold(folder: Path) -> None:
    assert bundle.read(folder).min_familiar("bundle") == 0.0
    bundle.write(folder, msgspec.structs.replace(MANIFEST, familiarity=familiarity()))
    read = bundle.read(folder)
    assert read.manifest.familiarity == familiarity()
    assert (read.min_familiar("bundle"), read.min_familiar(0.2)) == (0.03, 0.2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quantiles": ((0.0, 1.0), (1.0, 0.0))}, "quantiles don't rise"),
        ({"quantiles": ((0.0, 1.0), (0.0, float("inf")))}, "quantiles don't rise"),
        ({"quantiles": ((0.0,), (0.0,))}, "not at least two for each of 2 labels"),
        ({"quantiles": ((0.0, 1.0),)}, "not at least two for each of 2 labels"),
        ({"quantiles": ((0.0, 1.0), (0.0, 0.5, 1.0))}, "not at least two for each of 2 labels"),
        ({"min_familiar": 1.5}, "min_familiar that is not from 0 to 1"),
        ({"hidden": packed(np.ones((5, 1), np.float32))}, "arrays don't fit"),
        ({"means": b""}, "arrays don't fit"),
        ({"output": packed(np.full(1, np.nan, np.float32))}, "arrays don't fit"),
        ({"whitening": b"abc"}, "arrays don't fit"),
    ],
)
def test_a_familiarity_that_cannot_be_is_refused(folder: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BundleError, match=sentence):
        bundle.write(folder, msgspec.structs.replace(MANIFEST, familiarity=familiarity(**changes)))


def test_checksums_include_files_in_subfolders(folder: Path) -> None:
    (folder / "figures").mkdir()
    (folder / "figures" / "hard.json").write_text("not the manifest")
    written = bundle.write(folder, MANIFEST)
    assert "figures/hard.json" in written.manifest.files
    assert bundle.verify(folder) == []


def test_the_model_is_named_with_the_digest_of_its_weights(folder: Path) -> None:
    before = bundle.read(folder).model
    (folder / "model.safetensors").write_text("other weights")
    assert before.startswith("test-")
    assert bundle.write(folder, MANIFEST).model != before


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert_refused(folder, f"{name} can't be read: No such file")


@pytest.mark.parametrize("name", PARTS)
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("changed")
    assert_refused(folder, f"{name} is not the file that hard.json describes")


def test_only_the_files_that_will_be_used_are_checked(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    bundle.read(folder, only=("model.onnx",))
    with pytest.raises(BundleError, match=r"model\.safetensors can't be read"):
        bundle.read(folder, only=("model.safetensors",))


def test_a_file_that_the_manifest_does_not_list_is_refused_where_it_is_used(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    bundle.write(folder, MANIFEST)
    bundle.read(folder, only=("config.json", "model.safetensors"))
    with pytest.raises(BundleError, match=r"lists no model\.onnx"):
        bundle.read(folder, only=("model.onnx",))
    assert bundle.verify(folder) == [f"{folder}: hard.json lists no model.onnx"]


def test_the_graph_that_is_served_by_default_must_exist(folder: Path) -> None:
    bundle.write(folder, msgspec.structs.replace(MANIFEST, precision="int8"))
    assert bundle.verify(folder) == [f"{folder}: hard.json lists no model.int8.onnx"]
    (folder / "model.int8.onnx").write_text("")
    bundle.write(folder, msgspec.structs.replace(MANIFEST, precision="int8"))
    assert bundle.verify(folder) == []


def test_verify_reports_a_file_that_is_not_listed(folder: Path) -> None:
    (folder / "weights.pickle").write_text("x")
    bundle.read(folder)
    assert bundle.verify(folder) == [f"{folder / 'weights.pickle'} is not listed in hard.json"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"format": 2}, "has format 2, this version of HARD reads 3"),
        ({"format": 4, "colour": "red"}, "has format 4, this version of HARD reads 3"),
        (
            {"training__split": "at random"},
            "is not a manifest: training.split is missing, not known or of a wrong kind",
        ),
        ({"precision": "int4"}, "is not a manifest"),
        ({"labels": ["Walking"]}, "at least two labels"),
        ({"labels": ["Walking", "Walking"]}, "each once"),
        ({"window__unit": "g"}, "windows in 'g'"),
        ({"window__length_s": 4.01}, "whole number of grid points"),
        ({"window__rate_hz": 0}, "rate_hz must be above 0"),
        ({"window__rate_hz": 1e300}, "rate_hz must be above 0"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"up": [0, 2, 0]}, "not two unit vectors"),
        ({"forward": [0, 0, 0]}, "not two unit vectors"),
        ({"prompt__features": ["y.std", "y.colour"]}, "unknown features: y.colour"),
        ({"prompt__edges": [[0.5]]}, "2 features but edges for 1"),
        ({"prompt__edges": [[1.0, 0.5], [0.0]]}, "rising"),
        ({"prompt__style": "haiku"}, "'haiku' version 2 is unknown"),
        ({"prompt__version": 9}, "'compact' version 9 is unknown"),
        ({"files": {"../secret": "0"}}, "outside its folder"),
        ({"files": {"/etc/passwd": "0"}}, "outside its folder"),
        ({"files": {"a\0b": "0"}}, "outside its folder"),
        ({"files": {"": "0"}}, "can't be read"),
        ({"files": {}}, r"lists no spiece\.model"),
        ({"colour": "red"}, "is not a manifest: colour is missing, not known or of a wrong kind"),
        ({"labels": "Walking"}, "is not a manifest: labels is"),
        ({"up": [0, 1]}, "is not a manifest"),
    ],
)
def test_parts_that_do_not_fit_are_refused(folder: Path, fields: dict[str, Any], sentence: str) -> None:
    change(folder, **fields)
    assert_refused(folder, sentence)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"format":3}', b'{"training":{"metrics":{"a":' + b"[" * 100_000],
    ids=lambda t: repr(t[:9]),
)
def test_a_broken_manifest_is_refused(folder: Path, text: bytes) -> None:
    (folder / "hard.json").write_bytes(text)
    assert_refused(folder, "is not a manifest")


def test_a_folder_without_manifest_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, r"hard\.json can't be read")
    assert_refused(tmp_path / "nowhere", "is not a folder")


def test_a_shipped_bundle_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundle.find("default") == bundle.find(None) == bundle.SHIPPED / "default"
    assert bundle.find("no-such") == Path("no-such")
    assert_refused(Path("no-such"), r"no-such is not a folder and no shipped bundle \(default")
    Path("default").mkdir()  # a folder that exists wins over a shipped bundle of its name
    assert_refused(Path("default"), r"hard\.json can't be read")
    assert bundle.find(None) == bundle.SHIPPED / "default"
    Path("ten").touch()
    monkeypatch.setattr(bundle, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped" / "ten").mkdir(parents=True)
    assert bundle.find("ten") == tmp_path / "shipped" / "ten"


def test_write_refuses_what_read_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="at least two labels"):
        bundle.write(tmp_path, msgspec.structs.replace(MANIFEST, labels=("Walking",)))
    assert not (tmp_path / "hard.json").exists()


def test_the_shipped_bundle_is_sound_and_small() -> None:
    path = bundle.find()
    assert bundle.verify(path) == []
    manifest = bundle.read(path).manifest
    assert min(manifest.training.windows[label] for label in manifest.labels) > 100
    assert sum(p.stat().st_size for p in path.rglob("*")) < 5_000_000
    assert not [p for p in path.rglob("*") if p.suffix in (".bin", ".pt", ".pkl", ".pickle")]
