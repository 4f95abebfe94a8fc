"""Whether a bundle has met the people that it is judged on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hard.model import bundle, leakage


def test_recordings_of_one_name_in_several_folders_are_all_known_again(tmp_path: Path) -> None:
    files = [tmp_path / folder / "accel.csv" for folder in ("1", "2", "3")]
    for file in files:
        file.parent.mkdir()
        file.write_text(f"recording {file.parent.name}")
    made = leakage.digests(files)
    assert list(made) == ["accel.csv", "accel.csv (2)", "accel.csv (3)"]
    manifest = bundle.read(only=()).manifest
    training = msgspec.structs.replace(manifest.training, data="folder", digests=made, subjects={"train": ("a", "b")})
    manifest = msgspec.structs.replace(manifest, training=training)
    again = tmp_path / "other.csv"
    for file in files:
        again.write_bytes(file.read_bytes())
        assert leakage.of(manifest, [again], ["b", "c"]).startswith("LEAKY: this bundle was trained on the subjects b;")
        assert leakage.of(manifest, [again], ["c"]) == ""
    again.write_text("another")
    assert leakage.of(manifest, [again], ["b"]) == ""
