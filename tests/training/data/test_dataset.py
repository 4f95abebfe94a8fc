"""Recordings become a data set: split, labels of the base first, and people whom the base has seen."""

from pathlib import Path
from typing import Any

import pytest
from training.data import dataset, loading
from training.data.dataset import SplitWindows
from training.errors import RefusedError
from training.options import Options, Source
from training.recipe import Recipe, finalise

from hard.model import bundle
from hard.model.leakage import SEEN_BEFORE


def recipe(data: Path, **choices: Any) -> Recipe:
    return finalise(Options(data=(data,), out=data.parent / "mine", copies=0, **choices))


def split_windows(asked: Recipe) -> SplitWindows:
    return dataset.split_windows(asked, loading.load(asked.data, asked.source)[0])


def test_people_whom_the_base_has_seen_are_known_in_the_split(known: Path, recording: Path) -> None:
    parts = split_windows(recipe(known, base="default", holdout=("3",), validation=1)).split
    assert parts.seen_before == (*parts.validation, "3")
    assert parts.mark("validation") == parts.mark("test") == SEEN_BEFORE
    others = split_windows(recipe(recording, base="default", holdout=("3",))).split  # other people of the same names
    assert others.seen_before == ()
    assert others.mark("test") == ""


def test_the_labels_of_the_base_come_first_also_those_that_the_recordings_lack(recording: Path) -> None:
    found = split_windows(recipe(recording, base="default"))
    assert found.labels == bundle.read().manifest.labels
    assert found.present == ("Walking", "Jogging", "Sitting")


def test_a_refit_learns_from_all_but_the_test_subjects(recording: Path) -> None:
    asked = recipe(recording, holdout=("5", "6"), validation=1)
    runs, _ = loading.load(asked.data, asked.source)
    made = dataset.prepare(asked, runs, dataset.split_windows(asked, runs))
    everyone = made.all_learnt(asked)
    assert sorted(everyone.split.train) == ["1", "2", "3", "4"]
    assert (everyone.split.validation, everyone.split.test) == ((), ("5", "6"))
    assert made.default_mounting.gait_amplitude_ms2 > 0


def test_windows_of_dropped_labels_are_kept_apart(recording: Path) -> None:
    asked = recipe(recording, source=Source(drop=("Jogging",)))
    runs, _ = loading.load(asked.data, asked.source, drop=False)
    dropped = dataset.dropped_windows(asked, runs)
    assert dropped is not None
    assert set(dropped.truth.tolist()) == {"Jogging"}
    rest = loading.without(runs, asked.source.drop)
    found = dataset.split_windows(asked, rest)
    assert found.labels == ("Walking", "Sitting")
    both = loading.windows_of(loading.load(asked.data, Source())[0], dataset.grid_of(asked))
    assert len(both) == len(dropped) + len(found.labelled)
    assert dataset.dropped_windows(recipe(recording), runs) is None


def test_data_without_gravity_are_named(recording: Path, tmp_path: Path) -> None:
    def level(line: str) -> str:
        *front, x, y, z = line.rstrip(";").split(",")
        return ",".join([*front, str(float(x) - 0.5), str(float(y) - 9.6), f"{float(z) - 1.5:.3f};"])

    path = tmp_path / "belt.txt"
    path.write_text("\n".join(map(level, recording.read_text().splitlines())))
    with pytest.raises(RefusedError, match=r"hold no gravity .*, or say --unit m/s2 to use them without"):
        split_windows(recipe(path))
    asked = recipe(path, source=Source(unit="m/s2"))
    runs, _ = loading.load(asked.data, asked.source)
    assert dataset.prepare(asked, runs, dataset.split_windows(asked, runs)).without_gravity == ("belt",)


def test_what_is_adapted_keeps_the_gait_amplitude_of_its_base(recording: Path) -> None:
    asked = recipe(recording, base="default")
    runs, _ = loading.load(asked.data, asked.source)
    made = dataset.prepare(asked, runs, dataset.split_windows(asked, runs))
    assert made.default_mounting.gait_amplitude_ms2 == bundle.read().manifest.gait_amplitude_ms2


def test_a_window_of_no_whole_number_of_points_is_refused(recording: Path) -> None:
    with pytest.raises(RefusedError, match="choose another --length-s or --rate"):
        split_windows(recipe(recording, length_s=4.01))


def test_hours_are_counted_by_activity(recording: Path) -> None:
    hours = dataset.hours_of(loading.load([recording], recipe(recording).source)[0])
    assert hours == pytest.approx(
        {"Walking": 6 * 25 / 3600, "Jogging": 6 * 25 / 3600, "Sitting": 6 * 25 / 3600}, rel=0.01
    )
