"""The description of the machine, and its peak."""

from __future__ import annotations

import pytest
from benchmarks import machine

from hard import __version__


def test_the_description_says_what_figures_depend_on() -> None:
    found = machine.description()
    assert found["hard"] == __version__
    assert found["cores"] >= 1
    assert found["memory_gb"] > 0
    assert found["versions"].keys() == set(machine.PACKAGES)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_peak_is_measured_in_both_precisions(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SIDE", 64)
    assert machine.matmul_gflops(precision, threads=1) > 0
