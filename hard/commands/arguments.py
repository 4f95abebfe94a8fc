"""The types of command line options, for `hard` and for scripts/: text → value, or ArgumentTypeError.

Imports nothing that is slow: `hard --help` needs it.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from math import inf
from typing import Literal, TypeVar

from hard.units import COLUMN_KINDS, UNITS, ms2_per

FORMATS = (
    *("json", "csv", "msgpack", "cbor", "senml", "sensorlogger", "phyphox", "int16", "mapping"),
    *("sensorspot", "movesense", "edgeimpulse"),
)  # of ingest.format, and the ready-made names of ingest.mapping
LOCAL_BROKER = "mqtt://localhost:1883"
SENSOR_TOPIC = "sensors/{device}/accel"
SLOWEST_HZ, FASTEST_HZ = 0.01, 100_000.0  # beyond, a message would be minutes or many megabytes long
LONGEST_LAG_S = 60.0  # of labels.lag_s
SLOWEST_SPEED = 0.001  # an hour for a few seconds

Number = TypeVar("Number", int, float)


def number(kind: type[Number], holds: Callable[[Number], bool], description: str) -> Callable[[str], Number]:
    """The type of an option whose value is a `kind` for which `holds` is true, as `description` says."""

    def parse(text: str) -> Number:
        value = kind(text)
        if not holds(value):
            raise ArgumentTypeError(f"{text} is not {description}")
        return value

    parse.__name__ = kind.__name__  # argparse shows it: "invalid int value"
    return parse


positive = number(float, lambda value: 0 < value < inf, "above zero")
lag = number(float, lambda value: 0 <= value <= LONGEST_LAG_S, f"between 0 and {LONGEST_LAG_S:g} s")
share = number(float, lambda value: 0 <= value <= 1, "between 0 and 1")


def threshold(text: str) -> float | Literal["bundle"]:
    """A share, or `bundle`: what the bundle recommends."""
    return "bundle" if text == "bundle" else share(text)


count = number(int, lambda value: value >= 1, "at least 1")
seed = number(int, lambda value: value >= 0, "zero or above")
sample_rate = number(
    float, lambda value: SLOWEST_HZ <= value <= FASTEST_HZ, f"between {SLOWEST_HZ:g} and {FASTEST_HZ:g} Hz"
)
speed = number(float, lambda value: value == 0 or SLOWEST_SPEED <= value < inf, f"0 or at least {SLOWEST_SPEED:g}")


def names(text: str) -> tuple[str, ...]:
    """`a,b,…`, at least one."""
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise ArgumentTypeError("no name given")
    return found


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`a=b,c=d` in its order."""
    found = []
    for part in text.split(","):
        left, sign, right = (piece.strip() for piece in part.partition("="))
        if not (left and sign and right):
            raise ArgumentTypeError(f"{part!r} is not of the form name=name")
        found.append((left, right))
    return tuple(found)


def columns(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs whose left sides are COLUMN_KINDS, each once."""
    found = pairs(text)
    kinds = [kind for kind, _ in found]
    if unknown := set(kinds) - set(COLUMN_KINDS):
        raise ArgumentTypeError(f"{min(unknown)!r} is none of {', '.join(COLUMN_KINDS)}")
    if len(set(kinds)) != len(kinds):
        raise ArgumentTypeError("a kind of column is named twice")
    return found


def acceleration_unit(text: str) -> str:
    """A name of UNITS, or how many m/s² a raw count is."""
    try:
        ms2_per(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is none of {', '.join(UNITS)}, and no number above zero") from error
    return text


def log_level(text: str) -> str:
    """A level → the override that sets it."""
    return f"log_level={text}"


def sensor_topic(text: str) -> str:
    """A topic with `{device}` as one of its levels."""
    if "{device}" not in text.split("/") or set("+#\0") & set(text):
        raise ArgumentTypeError("a topic has {device} as one of its levels, and no + or #")
    return text
