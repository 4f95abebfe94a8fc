"""A bundle as the base of a fine-tune."""

import shutil
from pathlib import Path

import pytest
from training import base_bundle
from training.errors import RefusedError

from hard.model import bundle


def test_a_base_is_a_bundle_only_where_it_has_a_manifest(tmp_path: Path) -> None:
    assert base_bundle.read("scratch") is None
    assert base_bundle.read("google/flan-t5-small") is None
    assert base_bundle.read(str(tmp_path)) is None
    found = base_bundle.read("default")
    assert found is not None
    assert found.path == bundle.find()
    assert base_bundle.is_small(found)


def test_a_broken_bundle_is_refused(tmp_path: Path) -> None:
    shutil.copytree(bundle.find(), tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_text("cut short")
    with pytest.raises(RefusedError, match=r"--base: .*model\.safetensors is not the file"):
        base_bundle.read(str(tmp_path / "broken"))


def test_labels_of_the_recordings_come_after_the_bundle_s_own() -> None:
    own = bundle.read().manifest.labels
    assert base_bundle.labels(bundle.read(), ["Sitting", "Rowing"]) == (*own, "Rowing")


def test_prompt_and_window_are_fixed() -> None:
    fixed, manifest = base_bundle.fixed(bundle.read()), bundle.read().manifest
    prompt = {"prompt": "compact", "features": manifest.prompt.features, "context": ()}
    assert fixed == {**prompt, "length_s": 4.0, "rate_hz": 20.0}
