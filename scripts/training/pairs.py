"""`a=b,c=d` on a command line → pairs. For the two scripts; imports nothing that is slow."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

KINDS = ("time", "x", "y", "z", "subject", "truth")


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """The pairs in their order. Raises ArgumentTypeError."""
    found = []
    for part in text.split(","):
        left, sign, right = (piece.strip() for piece in part.partition("="))
        if not (left and sign and right):
            raise ArgumentTypeError(f"{part!r} is not of the form name=name")
        found.append((left, right))
    return tuple(found)


def columns(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs whose left sides are KINDS, each once. Raises ArgumentTypeError."""
    found = pairs(text)
    kinds = [kind for kind, _ in found]
    if unknown := set(kinds) - set(KINDS):
        raise ArgumentTypeError(f"{min(unknown)!r} is none of {', '.join(KINDS)}")
    if len(set(kinds)) != len(kinds):
        raise ArgumentTypeError("a kind of column is named twice")
    return found


def add_source(p: ArgumentParser) -> None:
    """The options that say how recordings are written: the same wherever recordings are read."""
    p.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="of the recordings (told from the steps)")
    p.add_argument("--recorded-hz", type=float, help="rate of recordings that carry no times")
    p.add_argument("--columns", type=columns, default=(), help="time=NAME,x=NAME,…, where not called as usual")
    p.add_argument("--labels", type=pairs, default=(), help="LABEL=NAME,…: a label and its name in the recordings")
    p.add_argument("--unit", choices=("m/s2", "g"), default="m/s2", help="of the recordings")
