"""The types of options: what they accept, and the sentence for what they don't."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from hard.commands import arguments


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (arguments.positive, "0.5", 0.5),
        (arguments.share, "0", 0),
        (arguments.share, "1", 1),
        (arguments.count, "1", 1),
        (arguments.seed, "0", 0),
        (arguments.sample_rate, "0.01", 0.01),
        (arguments.speed, "0", 0),
        (arguments.speed, "0.001", 0.001),
        (arguments.names, " a, b ,", ("a", "b")),
        (arguments.pairs, "b=c, a = d", (("b", "c"), ("a", "d"))),
        (arguments.columns, "time=Time (ms),x=acc", (("time", "Time (ms)"), ("x", "acc"))),
        (arguments.log_level, "debug", "log_level=debug"),
        (arguments.sensor_topic, "a/{device}/b", "a/{device}/b"),
    ],
)
def test_a_value_is_read(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (arguments.positive, "0", "0 is not above zero"),
        (arguments.positive, "inf", "inf is not above zero"),
        (arguments.positive, "nan", "nan is not above zero"),
        (arguments.share, "1.1", "between 0 and 1"),
        (arguments.lag, "61", "between 0 and 60 s"),
        (arguments.count, "0", "0 is not at least 1"),
        (arguments.seed, "-1", "-1 is not zero or above"),
        (arguments.sample_rate, "0.001", "between 0.01 and 100000 Hz"),
        (arguments.speed, "1e-4", "1e-4 is not 0 or at least 0.001"),
        (arguments.speed, "inf", "0 or at least"),
        (arguments.names, ",", "no name"),
        (arguments.pairs, "a=b,c", "'c' is not of the form name=name"),
        (arguments.columns, "colour=a", "'colour' is none of time, x, y, z, "),
        (arguments.columns, "x=a,x=b", "named twice"),
        (arguments.sensor_topic, "a/b", "has {device} as one of its levels"),
        (arguments.sensor_topic, "+/{device}", "no [+] or #"),
    ],
)
def test_other_values_are_refused_by_a_sentence(parse: Callable[[str], object], text: str, sentence: str) -> None:
    with pytest.raises(ArgumentTypeError, match=sentence):
        parse(text)


def test_what_is_no_number_is_a_value_error_for_argparse() -> None:
    assert arguments.count.__name__ == "int"
    with pytest.raises(ValueError, match="invalid literal"):
        arguments.count("many")


def test_a_unit_is_a_name_or_the_size_of_a_count() -> None:
    assert [arguments.acceleration_unit(text) for text in ("g", "0.0006")] == ["g", "0.0006"]
    for text in ("stone", "-1", "nan", "inf"):
        with pytest.raises(ArgumentTypeError, match="none of m/s2, g, mg, mm/s2, and no number above zero"):
            arguments.acceleration_unit(text)
