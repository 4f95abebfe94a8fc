"""Measurements in turns become ratios and a verdict."""

from __future__ import annotations

import io
import json

import pytest
from benchmarks.comparison import CostComparison, CostRecord, Measured, as_json, differing_files, paired, show
from rich.console import Console


def turns(*values: tuple[float, float], judged: bool = True) -> CostComparison:
    return paired([
        (Measured("load", "CPU ms a label", this, judged), Measured("load", "CPU ms a label", other, judged))
        for this, other in values
    ])  # fmt: skip


def record(*comparisons: CostComparison) -> CostRecord:
    return CostRecord(
        date="2026-01-01", machine={"processor": "any", "cores": 2, "load": 0.1}, minutes=1.0, this="a", other="b",
        tolerance=0.05, bundle_differs_in=["model.onnx"], comparisons=list(comparisons),
    )  # fmt: skip


def test_the_ratio_is_the_median_of_the_paired_ratios() -> None:
    # The machine was twice as slow in the second turn, for both.
    made = turns((1.0, 1.0), (2.2, 2.0), (1.0, 0.8))
    assert made.ratio == pytest.approx(1.1)
    assert (made.this, made.other) == (1.0, 1.0)
    assert made.lower <= made.ratio <= made.upper
    assert made.turns == 3


def test_a_judged_cost_beyond_the_tolerance_is_worse() -> None:
    assert turns((1.06, 1.0)).worse(0.05)
    assert not turns((1.04, 1.0)).worse(0.05)
    assert not turns((0.5, 1.0)).worse(0.05)
    assert not turns((2.0, 1.0), judged=False).worse(0.05)


def test_turns_with_an_incomplete_measurement_are_counted() -> None:
    complete, incomplete = Measured("load", "ms", 1.0), Measured("load", "ms", 1.0, complete=False)
    assert paired([(complete, complete), (complete, incomplete), (incomplete, incomplete)]).incomplete == 2


def test_files_that_differ_or_stand_on_one_side_alone_are_named() -> None:
    assert differing_files({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]


def test_the_table_says_what_is_worse_and_that_the_models_differ() -> None:
    text = io.StringIO()
    show(record(turns((1.2, 1.0)), turns((3.0, 1.0), judged=False)), Console(file=text, width=200))
    assert "worse by more than 5%: load, CPU ms a label: +20.0%" in text.getvalue()
    assert "not judged" in text.getvalue()
    assert "The default bundles differ in model.onnx" in text.getvalue()


def test_the_json_holds_every_figure() -> None:
    found = json.loads(as_json(record(turns((1.2, 1.0)))))
    assert found["comparisons"][0]["ratio"] == pytest.approx(1.2)
    assert found["tolerance"] == 0.05


def test_one_turn_has_its_ratio_as_quartiles() -> None:
    made = paired([(Measured("a", "s", 2.0), Measured("a", "s", 1.0))])
    assert made.lower == made.ratio == made.upper == 2.0
