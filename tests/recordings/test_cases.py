"""Files that people who run such systems had trouble with, as they are in ../shared/cases: a simulated walk each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hard import cli

INPUTS = Path(__file__).resolve().parents[3] / "shared" / "cases" / "inputs"
# A file, the options that it needs beside its name, and what stands in the refusal without them.
CASES = {
    "F01-phyphox.csv": ((), ""),
    "F02-phyphox-decimal-comma.csv": ((), ""),
    "F07e-time-and-t-index.csv": ((), ""),
    "F08-actigraph.csv": (("--unit", "g"), "say --unit g"),
    "F10-headerless.csv": ((), ""),
    "F15-descending-ms.csv": ((), ""),
    "F16-second-resolution.csv": (("--rate", "50"), ""),
    "F18b-lowercase-truth.csv": (("--score",), ""),
    "F23-trailing-comma.csv": ((), ""),
    "F24-comments.csv": ((), ""),
}


@pytest.mark.parametrize("name", CASES)
def test_a_walk_is_labelled_as_one_or_refused_with_the_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if not (INPUTS / name).is_file():
        pytest.skip(f"no cases at ../shared ({name})")
    options, refusal = CASES[name]
    if refusal:
        assert cli.main(["label", str(INPUTS / name)]) == 2
        assert refusal in capsys.readouterr().err
    assert cli.main(["label", str(INPUTS / name), *options]) == 0
    out, err = capsys.readouterr()
    labels = [json.loads(line)["label"] for line in out.splitlines()]
    # The longer file has 17 windows; the walk itself is the same in all, and the first steps are before the mounting.
    assert labels.count("Walking") >= 0.7 * len(labels) > 5
    assert "rejected" not in err
    if "--score" in options:
        assert f"accuracy {labels.count('Walking') / len(labels):.4f}" in err


def test_a_walk_without_gravity_is_refused_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    path = INPUTS / "F04b-linear-sitting.csv"
    if not path.is_file():
        pytest.skip(f"no cases at ../shared ({path.name})")
    assert cli.main(["label", str(path)]) == 2
    assert "hold no gravity (their median is 0.285): record them with gravity, or say --unit m/s2" in (
        capsys.readouterr().err
    )
    assert cli.main(["label", str(path), "--unit", "m/s2"]) == 0
