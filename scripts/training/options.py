"""Options that say how recordings are written, the same for all scripts. Imports nothing that is slow."""

from __future__ import annotations

from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from hard.commands.arguments import columns, pairs


def add_source(p: ArgumentParser) -> None:
    p.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="of the recordings (told from the steps)")
    p.add_argument("--recorded-hz", type=positive, help="rate of recordings that carry no times")
    p.add_argument("--columns", type=columns, default=(), help="time=NAME,x=NAME,…, where not called as usual")
    p.add_argument("--labels", type=pairs, default=(), help="LABEL=NAME,…: a label and its name in the recordings")
    p.add_argument(
        "--unit",
        action=_Joined,
        default="",
        metavar="[FILE=]UNIT",
        help="m/s2, g, mg or mm/s2, of all recordings or of one; may be repeated (m/s2)",
    )


class _Joined(Action):
    """What an option is given each time, with commas between."""

    def __call__(self, parser: ArgumentParser, options: Namespace, value: Any, option: str | None = None) -> None:
        setattr(options, self.dest, ",".join(filter(None, (getattr(options, self.dest), value))))


def positive(text: str) -> float:
    """The number of an option in seconds or Hz: from a thousandth to 100,000, as a grid takes them."""
    value = float(text)
    if not 0.001 <= value <= 100_000:
        raise ArgumentTypeError(f"must be 0.001 to 100000, not {text}")
    return value
