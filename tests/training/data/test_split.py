"""The split is by subject, whatever the seed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.data import loading, split
from training.data.loading import LabelledWindows
from training.errors import RefusedError
from training.options import Source

from hard.model.leakage import LEARNT, SEEN_BEFORE
from hard.recordings.default_rules import default_grid

SUBJECTS = [str(i) for i in range(1, 19)]


@given(
    holdout=st.sets(st.sampled_from(SUBJECTS), max_size=10),
    validation=st.none() | st.integers(1, 7),
    seed=st.integers(0, 1000),
)
def test_no_subject_is_in_two_parts_and_none_is_lost(holdout: set[str], validation: int | None, seed: int) -> None:
    parts = split.by_subject(SUBJECTS, sorted(holdout), validation, seed)
    together = [*parts.train, *parts.validation, *parts.test]
    assert sorted(together) == sorted(SUBJECTS)
    assert set(parts.test) == holdout
    assert len(parts.validation) == (validation or max(1, round(0.15 * (18 - len(holdout)))))
    assert parts == split.by_subject(SUBJECTS, sorted(holdout), validation, seed)


def test_a_subject_that_is_not_there_cannot_be_held_out() -> None:
    with pytest.raises(RefusedError, match="'99' of --holdout is not in the data"):
        split.by_subject(SUBJECTS, ["99"], None, 0)


def test_a_subject_must_be_left_to_learn_from() -> None:
    with pytest.raises(RefusedError, match="too few"):
        split.by_subject(["1", "2"], ["1"], None, 0)


def test_a_label_without_training_windows_is_refused() -> None:
    truth, subject, none = np.array(["Walking", "Walking", "Sitting"]), np.array(["1", "2", "2"]), np.full(3, "")
    labelled = LabelledWindows((None,) * 3, truth, subject, none, none, subject, learnt=(None,) * 3)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="no window of 'Sitting' to train on"):
        split.check_classes(labelled, split.Split(("1",), ("2",), ()), ("Walking", "Sitting"))


@given(count=st.integers(2, 40), seed=st.integers(0, 50), data=st.data())
def test_folds_hold_out_every_subject_once(count: int, seed: int, data: st.DataObject) -> None:
    subjects = [str(i) for i in range(count)]
    k = data.draw(st.integers(2, count))
    folds = split.into_folds(subjects, k, seed)
    assert len(folds) == k
    assert sorted(s for held in folds for s in held) == sorted(subjects)
    assert max(map(len, folds)) - min(map(len, folds)) <= 1
    assert folds == split.into_folds(subjects, k, seed)


@pytest.mark.parametrize("folds", [1, 4])
def test_one_fold_or_more_than_there_are_subjects_is_refused(folds: int) -> None:
    with pytest.raises(RefusedError, match="can't be parted"):
        split.into_folds(["1", "2", "3"], folds, 0)


def test_the_marks_of_a_split_follow_from_its_kind_and_whom_the_base_has_seen() -> None:
    parts = split.Split(("1",), ("2",), ("3",))
    assert parts.mark("test") == ""
    assert parts.mark("train") == LEARNT
    seen = replace(parts, seen_before=("3",))
    assert (seen.mark("test"), seen.mark("validation")) == (SEEN_BEFORE, "")
    in_time = split.Split(("train",), ("validation",), ("test",), "time", ("1",), ("1",))
    assert in_time.mark("test") == f"same people, later; {SEEN_BEFORE}"
    assert in_time.judged() == ("1",)


def test_a_split_in_time_parts_each_activity_without_overlap(recording: Path) -> None:
    runs, _ = loading.load([recording], Source(unit="m/s2"))
    labelled, parts = split.in_time([run for run in runs if run.subject == "1"], default_grid(2.0, 20.0, 0.5))
    assert parts.parts() == {"train": ["1"], "validation": ["1"], "test": ["1"]}
    assert parts.kind == "time"
    assert parts.mark("test") == "same people, later"
    for truth in ("Walking", "Jogging", "Sitting"):
        spans = []
        for part in ("train", "validation", "test"):
            own = [w for w, t, s in zip(labelled.windows, labelled.truth, labelled.group, strict=True)
                   if t == truth and s == part]  # fmt: skip
            assert own
            spans.append((min(w.start for w in own), max(w.end for w in own)))
        assert spans[0][1] <= spans[1][0] + 0.1
        assert spans[1][1] <= spans[2][0] + 0.1


def windows(*rows: tuple[str, str, str, str]) -> LabelledWindows:
    """Windows of (truth, subject, place, data set)."""
    unread: Any = (None,) * len(rows)
    truth, subject, place, dataset = (np.array(column) for column in zip(*rows, strict=True))
    return LabelledWindows(unread, truth, subject, place, dataset, subject, learnt=unread)


WORN = windows(
    *(("Walking", s, "left wrist", "watches") for s in "abc"),
    *(("Sitting", s, "right wrist", "watches") for s in "abc"),
    *((truth, s, "front pocket", "phones") for s in "abde" for truth in ("Walking", "Sitting", "Walking|Sitting")),
    ("Walking", "e", "neck pouch", "bags"),
    ("Sitting", "e", "neck pouch", "bags"),
    ("Walking", "e", "bag", "bags"),
)


def test_a_place_or_data_set_that_is_left_out_is_a_group_of_its_own_which_tests() -> None:
    labelled, unknown = split.leave_out(WORN, "place=wrist")
    assert len(unknown) == 0
    assert len(labelled) == len(WORN)
    assert (labelled.group == "place=wrist").sum() == 6
    assert set(labelled.of(["a"]).place.tolist()) == {"front pocket"}
    parts = split.covering(labelled, ("Walking", "Sitting"), ("place=wrist",), 1, 0)
    assert parts.test == ("place=wrist",)
    assert sorted((*parts.train, *parts.validation)) == ["a", "b", "d", "e"]
    assert replace(parts, left_people=("a", "b", "c")).parts()["test"] == ["a", "b", "c"]
    assert (split.leave_out(WORN, "dataset=bags")[0].group == "dataset=bags").sum() == 3
    assert split.leave_out(WORN, "")[0] is WORN


def test_an_activity_that_is_left_out_is_in_no_truth() -> None:
    labelled, unknown = split.leave_out(WORN, "activity=Sitting")
    assert set(labelled.truth.tolist()) == {"Walking"}
    assert set(unknown.truth.tolist()) == {"Sitting"}


def test_a_parent_is_left_out_with_all_its_labels() -> None:
    every = windows(
        *((truth, "a", "", "phones") for truth in ("Walking", "Jogging", "Upstairs", "Downstairs", "Sitting")),
        ("Upstairs|Downstairs", "a", "", "phones"),
    )
    assert split.activities(every) == ["Downstairs", "Jogging", "Sitting", "Upstairs", "Walking", "on foot"]
    split.check_left_out(every, "activity=on foot")
    labelled, unknown = split.leave_out(every, "activity=on foot")
    assert labelled.truth.tolist() == ["Jogging", "Sitting"]
    assert unknown.truth.tolist() == ["Walking", "Upstairs", "Downstairs", "Upstairs|Downstairs"]
    labelled, unknown = split.leave_out(every, "activity=Upstairs")
    assert labelled.truth.tolist() == ["Walking", "Jogging", "Downstairs", "Sitting"]
    assert unknown.truth.tolist() == ["Upstairs"]


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        ("wrist", "--leave-out is dataset=NAME or place=NAME or activity=NAME, not wrist"),
        ("place=ankle", "--leave-out: the places are any, bag, pocket, wrist"),
    ],
)
def test_what_is_not_there_can_not_be_left_out(left_out: str, sentence: str) -> None:
    split.check_left_out(WORN, "place=wrist")
    with pytest.raises(RefusedError, match=sentence):
        split.check_left_out(WORN, left_out)


def test_in_turn_are_left_out_known_places_and_data_sets_of_two_labels_and_every_activity() -> None:
    assert split.names_to_leave_out(WORN, "place") == ["pocket", "wrist"]
    assert split.names_to_leave_out(WORN, "dataset") == ["bags", "phones", "watches"]
    assert split.names_to_leave_out(WORN, "activity") == ["Sitting", "Walking"]
    with pytest.raises(RefusedError, match="there are no two datasets with two labels each"):
        split.names_to_leave_out(WORN.of(["d"]), "dataset")
    assert set(split.test_subjects(WORN, 0)) < set("abcde")
