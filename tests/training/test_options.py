"""The command line becomes options: only what was given, so that each default stands in one place."""

from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from training.options import Options, Source, add_source, positive, take_source


def parsed(*arguments: str) -> dict[str, object]:
    parser = ArgumentParser()
    add_source(parser)
    return vars(parser.parse_args(arguments))


def test_the_source_of_recordings_is_taken_out_of_parsed_options() -> None:
    options = parsed("--columns", "x=acc X", "--labels", "Stairs=up,Stairs=down", "--time-unit", "ms")
    source = take_source(options)
    assert source == Source("ms", columns=(("x", "acc X"),), labels=(("Stairs", "up"), ("Stairs", "down")))
    assert options == {}


def test_the_unit_may_be_given_again_for_another_file() -> None:
    assert take_source(parsed("--unit", "g", "--unit", "b.csv=m/s2")).unit == "g,b.csv=m/s2"


def test_what_is_not_given_has_the_record_s_default() -> None:
    assert take_source(parsed()) == Source()


@pytest.mark.parametrize("number", ["0", "-1", "nan", "1e9"])
def test_a_hop_or_rate_that_no_grid_takes_is_refused(number: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"must be 0\.001 to 100000"):
        positive(number)
    assert positive("0.5") == 0.5


def test_every_option_of_finetune_is_one_of_options_and_has_no_second_default() -> None:
    import finetune

    given = vars(finetune.parser().parse_args(["data.csv", "--out", "model"]))
    assert given == {"data": [Path("data.csv")], "out": Path("model"), "folds": None, "jobs": 1}
    named = {action.dest for action in finetune.parser()._actions} - {"help", "folds", "jobs"}
    known = {field.name for field in (*fields(Options), *fields(Source))} - {"source", "command"}
    assert named == known
    assert [field.name for field in fields(Options) if field.default is MISSING] == ["data", "out"]
