"""Whether a bundle has seen the people that it is judged on: the manifest's fields decide, no word of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from hard.model import bundle, leakage
from hard.model.bundle import SplitKind, Training


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "accel.csv"
    path.write_text("recording")
    return path


def training(recording: Path, **fields: object) -> Training:
    """The shipped bundle's, as if it had learnt from a and b of `recording` and been chosen by v."""
    made = bundle.read(only=()).manifest.training
    known = {"data": "folder", "digests": leakage.digests([recording]), "metrics": {}}
    return replace(made, **{**known, "subjects": {"train": ["a", "b"], "validation": ["v"], "test": ["t"]}, **fields})


def test_recordings_of_one_name_in_several_folders_are_all_recognised(tmp_path: Path) -> None:
    files = [tmp_path / folder / "accel.csv" for folder in ("1", "2", "3")]
    for file in files:
        file.parent.mkdir()
        file.write_text(f"recording {file.parent.name}")
    made = leakage.digests(files)
    assert list(made) == ["accel.csv", "accel.csv (2)", "accel.csv (3)"]
    again = tmp_path / "other.csv"
    for file in files:
        again.write_bytes(file.read_bytes())
        assert leakage.seen_subjects(training(file, digests=made), [again], ["b", "c"]) == ("b",)
    again.write_text("another")
    assert leakage.seen_subjects(training(files[0], digests=made), [again], ["b"]) == ()


def test_subjects_learnt_from_or_chosen_by_are_seen_and_test_subjects_are_not(recording: Path) -> None:
    made = training(recording)
    assert leakage.seen_subjects(made, [recording], ["t", "v", "x", "a"]) == ("v", "a")
    assert leakage.warning(made, [recording], ["a", "x"]) == (
        "LEAKY: this bundle was trained on the subjects a; the figures say nothing about others"
    )
    assert "its epoch chosen on the subjects v;" in leakage.warning(made, [recording], ["v"])
    assert leakage.warning(made, [recording], ["t"]) == ""
    at_random = replace(made, split="random")
    assert "on the subjects b, windows split at random;" in leakage.warning(at_random, [recording], ["b"])


def test_what_the_bundle_before_has_seen_is_seen(recording: Path) -> None:
    adapted = training(recording, subjects={"train": ["n"]}, adapted_from=training(recording))
    assert leakage.seen_subjects(adapted, [recording], ["n", "a", "t"]) == ("n", "a")
    assert leakage.warning(adapted, [recording], ["a"]).startswith("LEAKY: this bundle was trained on the subjects a;")


@pytest.mark.parametrize(
    ("split", "seen_before", "mark"),
    [
        ("subject", (), ""),
        ("subject", ("t",), leakage.SEEN_BEFORE),
        ("subject", ("someone else",), ""),
        ("time", (), "same people, later"),
        ("time", ("t",), f"same people, later; {leakage.SEEN_BEFORE}"),
        ("random", (), "LEAKY, windows split at random"),
    ],
)
def test_the_fields_alone_decide_the_mark(
    recording: Path, split: SplitKind, seen_before: tuple[str, ...], mark: str
) -> None:
    """Whatever the figures are called."""
    made = training(recording, split=split, seen_before=seen_before)
    for metrics in ({}, {"test": {}}, {"test (LEAKY, windows split at random)": {}}, {"a reworded heading": {}}):
        reworded = replace(made, metrics=metrics, base="LEAKY", command="LEAKY, windows split at random")
        assert leakage.mark_of(reworded, "test") == mark
        assert leakage.mark_of(reworded, "train") == leakage.LEARNT
        assert leakage.seen_subjects(reworded, [recording], ["a", "t"]) == ("a",)
