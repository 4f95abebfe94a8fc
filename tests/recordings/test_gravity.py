"""Gravity in a recording, and its unit: by what the accelerations are in the mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hard.recordings.gravity import check_unit
from hard.recordings.recordings import read
from hard.recordings.tables import NoGravityError, UnitError
from hard.simulator import Wearer
from hard.units import G_MS2

PATH = Path("walk.csv")


def motion(activity: str) -> np.ndarray:
    return Wearer(1, 50.0, among=(activity,)).take(1000).xyz


@pytest.mark.parametrize("activity", ["Walking", "Jogging", "Upstairs", "Sitting", "Standing"])
def test_gravity_is_seen_in_each_activity_and_missed_where_it_was_taken_out(activity: str) -> None:
    xyz = motion(activity)
    assert check_unit(xyz, PATH, "m/s2", stated=False)
    for scale in (1, 0.3, 1 / G_MS2):
        with pytest.raises((NoGravityError, UnitError), match=r"--unit m/s2"):
            check_unit((xyz - xyz.mean(axis=0)) * scale, PATH, "m/s2", stated=False)
    assert not check_unit(xyz - xyz.mean(axis=0), PATH, "m/s2", stated=True)


@pytest.mark.parametrize(("unit", "scale"), [("g", G_MS2), ("mg", G_MS2 / 1000), ("mm/s2", 1e-3)])
def test_another_unit_is_named(unit: str, scale: float) -> None:
    with pytest.raises(UnitError, match=f"looks like {unit}, not m/s2: say --unit {unit}, or"):
        check_unit(motion("Walking") / scale, PATH, "m/s2", stated=False)
    with pytest.raises(UnitError, match=r"looks like m/s2, not g: say --unit m/s2$"):
        check_unit(motion("Walking"), PATH, "g", stated=True)


def test_raw_counts_are_named_with_the_scale_that_fits() -> None:
    with pytest.raises(UnitError, match=r"looks like raw counts, not m/s2: say --unit 0\.0005986$"):
        check_unit(motion("Walking") * 16384 / G_MS2, PATH, "m/s2", stated=False)
    assert check_unit(motion("Walking") * 16384 / G_MS2, PATH, "0.0005986", stated=True)


def test_a_short_file_is_not_checked() -> None:
    assert check_unit(np.zeros((5, 3)), PATH, "m/s2", stated=False)


@pytest.mark.slow
def test_every_data_set_of_recordings_holds_gravity(motionsense: Path) -> None:
    places = sorted((motionsense.parents[1] / "places").glob("*.parquet"))
    assert places
    for path in places:
        try:
            found, _ = read(path)
        except UnitError as error:
            found, _ = read(path, unit=error.likely_unit)
        assert found[0].has_gravity, path
