"""Which column holds what, and what the errors of recordings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hard.errors import HardError
from hard.recordings.tables import (
    COLUMNS,
    NoRecordError,
    RecordingError,
    UnitError,
    column_positions,
    default_subject,
)
from hard.units import COLUMN_KINDS

PATH = Path("some/walk.csv")


def test_columns_are_found_by_their_known_names_in_any_case() -> None:
    header = ["Label", " Acc_X", "y", "Z-axis", "Time_s", "weight"]
    assert column_positions(header, {}, PATH) == {"truth": 0, "x": 1, "y": 2, "z": 3, "time": 4}


def test_a_named_column_wins_over_a_known_name() -> None:
    header = ["x", "y", "z", "own x"]
    assert column_positions(header, {"x": "Own X"}, PATH) == {"x": 3, "y": 1, "z": 2}


def test_a_named_column_that_is_missing_is_refused() -> None:
    with pytest.raises(RecordingError, match="has no column 'when'; it has x, y, z") as refusal:
        column_positions(["x", "y", "z"], {"time": "when"}, PATH)
    assert not isinstance(refusal.value, NoRecordError)


def test_without_an_axis_there_is_no_record() -> None:
    with pytest.raises(NoRecordError, match="say which holds it with --columns x=NAME,y=NAME,z=NAME"):
        column_positions(["x", "y"], {}, PATH)


def test_every_kind_of_column_has_names() -> None:
    assert tuple(COLUMNS) == COLUMN_KINDS


def test_a_file_without_subjects_is_one_subject() -> None:
    assert default_subject(Path("folder/anna.csv.gz")) == "anna"


def test_an_error_has_its_path_and_its_problem() -> None:
    error = RecordingError(PATH, "is empty")
    assert isinstance(error, HardError)
    assert (str(error), error.path, error.problem, error.exit_code) == (f"{PATH}: is empty", PATH, "is empty", 2)


def test_the_advice_about_a_unit_can_name_one_file() -> None:
    guessed = UnitError(PATH, 1.0, unit="m/s2", likely_unit="g", stated=False)
    assert guessed.problem == f"{guessed.measure}: {guessed.advice()}"
    assert guessed.advice("a.csv") == "say --unit a.csv=g, or --unit a.csv=m/s2 where gravity was taken out"
    stated = UnitError(PATH, 9.8, unit="g", likely_unit="m/s2", stated=True)
    assert stated.advice() == "say --unit m/s2"
