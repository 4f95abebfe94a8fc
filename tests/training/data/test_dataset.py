"""Recordings become a data set: split, labels of the base first, and people whom the base has seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training.data import dataset, loading, split
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
    parts = split_windows(recipe(known, base="default", holdout=("3", "5"), validation=1)).split
    assert parts.seen_before == (*parts.validation, "5")  # the shipped bundle was judged by 3
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


def test_who_is_learnt_from_has_other_lives_and_nobody_else(recording: Path) -> None:
    asked = replace(recipe(recording, holdout=("5", "6"), validation=1), copies=2)
    runs, _ = loading.load(asked.data, asked.source)
    made = dataset.prepare(asked, runs, dataset.split_windows(asked, runs))
    assert {run.subject for run in made.runs} == set(made.split.train)
    first, *others = made.variants(asked)
    assert len(first.truth) == len(made.labelled.of(made.split.train))
    assert len(others) == 2
    again = list(made.variants(asked))[1]
    np.testing.assert_array_equal(again.xyz, others[0].xyz)
    assert not np.array_equal(others[0].xyz[:10], others[1].xyz[:10])


def test_other_lives_are_of_the_part_to_learn_from(recording: Path) -> None:
    runs, _ = loading.load([recording], recipe(recording).source)
    learnt_s, all_s = (
        sum(float(run.time[-1] - run.time[0]) for run in part) for part in (split.learnt_in_time(runs), runs)
    )
    assert 0.55 * all_s < learnt_s < 0.7 * all_s


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


def test_a_window_of_no_whole_number_of_points_is_refused(recording: Path) -> None:
    with pytest.raises(RefusedError, match="choose another --length-s or --rate"):
        split_windows(recipe(recording, length_s=4.01))


def test_hours_are_counted_by_activity(recording: Path) -> None:
    hours = dataset.hours_of(loading.load([recording], recipe(recording).source)[0])
    assert hours == pytest.approx(
        {"Walking": 6 * 25 / 3600, "Jogging": 6 * 25 / 3600, "Sitting": 6 * 25 / 3600}, rel=0.01
    )
