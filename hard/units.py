"""Units of acceleration and time, the kinds of columns, and the places of the body: what files, payloads, settings and
options share."""

from __future__ import annotations

from math import inf

G_MS2 = 9.80665  # standard gravity, m/s² (3rd General Conference on Weights and Measures, 1901)
UNITS = {"m/s2": 1.0, "g": G_MS2, "mg": G_MS2 / 1000, "mm/s2": 1e-3}  # one of each in m/s²
TIME_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # how many of each are a second
COLUMN_KINDS = ("time", "x", "y", "z", "subject", "place", "truth")  # what the columns of a recording hold
PLACES = ("pocket", "thigh", "waist", "wrist", "arm", "hand", "chest", "back", "ankle", "knee", "bag", "any")


def place_of(name: str) -> str:
    """The one of PLACES that `name` speaks of, by its last word that is one ("left wrist" is wrist, "back pocket"
    pocket); any where none is."""
    return next((word for word in reversed(name.lower().split()) if word in PLACES), "any")


def ms2_per(unit: str) -> float:
    """How many m/s² one `unit` is: a name of UNITS, or the number itself, for raw counts. Raises ValueError."""
    scale = UNITS[unit] if unit in UNITS else float(unit)
    if not 0 < scale < inf:
        raise ValueError(f"{unit} is not above zero")
    return scale


def stated_place(name: str) -> str | None:
    """`place_of` a name; None where that is any."""
    place = place_of(name)
    return None if place == "any" else place


def is_place(name: str) -> bool:
    """Whether `name` speaks of one of PLACES, any included."""
    return any(word in PLACES for word in name.lower().split())


def parse_axes(text: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """`y,-x,z` → for each of x, y and z which of the sender's axes it is, and its sign. Raises ValueError."""
    parts = [part.strip().lower() for part in text.split(",")]
    order = tuple("xyz".find(part.lstrip("+-")) for part in parts)
    if sorted(order) != [0, 1, 2] or any(len(part) > 2 for part in parts):
        raise ValueError("must name each of x, y and z once, such as y,-x,z")
    return order, tuple(-1.0 if part[0] == "-" else 1.0 for part in parts)
