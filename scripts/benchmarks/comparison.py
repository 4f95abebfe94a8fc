"""Measurements of two checkouts in turns → medians, paired ratios, a verdict, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table


class Measured(msgspec.Struct, frozen=True):
    """One figure of one checkout in one turn. `complete` is false where labels were missing or the load came late."""

    name: str
    unit: str
    value: float
    judged: bool = False
    complete: bool = True


class CostComparison(msgspec.Struct, frozen=True):
    """One figure of both checkouts: their medians, and the median and the quartiles of this one's over the other's
    within each turn. `incomplete` counts the turns in which a measurement was not complete."""

    name: str
    unit: str
    judged: bool
    turns: int
    incomplete: int
    this: float
    other: float
    ratio: float
    lower: float
    upper: float

    def worse(self, tolerance: float) -> bool:
        """Whether a judged cost is higher than the other checkout's by more than `tolerance`."""
        return self.judged and self.ratio > 1 + tolerance


class CostRecord(msgspec.Struct, frozen=True):
    """All figures of a run. `bundle_differs_in` names the files of the default bundles that are not the same."""

    date: str
    machine: dict[str, Any]
    minutes: float
    this: str
    other: str
    tolerance: float
    bundle_differs_in: list[str]
    comparisons: list[CostComparison]

    @property
    def worse(self) -> list[CostComparison]:
        """Judged costs that are higher by more than the tolerance."""
        return [each for each in self.comparisons if each.worse(self.tolerance)]


def paired(turns: Sequence[tuple[Measured, Measured]]) -> CostComparison:
    """The comparison of one figure, measured in each turn in this checkout and in the other one."""
    ratios = [this.value / other.value if other.value else float("inf") for this, other in turns]
    lower, _, upper = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    first = turns[0][0]
    return CostComparison(
        first.name, first.unit, first.judged, len(turns),
        incomplete=sum(not (this.complete and other.complete) for this, other in turns),
        this=median(this.value for this, _ in turns), other=median(other.value for _, other in turns),
        ratio=median(ratios), lower=lower, upper=upper,
    )  # fmt: skip


def differing_files(this: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names of the bundles' files whose digests differ, or that only one of them has."""
    return sorted(name for name in this.keys() | other.keys() if this.get(name) != other.get(name))


def show(record: CostRecord, console: Console) -> None:
    """A table with a row a figure, and below it what a reader must know to judge it."""
    console.print(_about(record), highlight=False)
    table = Table(title="This checkout against the other one", title_justify="left")
    for name in ("figure", "unit", "this", "other", "this / other", "quartiles", "incomplete", "verdict"):
        table.add_column(name, justify="left" if name in ("figure", "unit", "verdict") else "right")
    for each in record.comparisons:
        verdict = ("worse" if each.worse(record.tolerance) else "within tolerance") if each.judged else "not judged"
        table.add_row(
            each.name, each.unit, f"{each.this:.4g}", f"{each.other:.4g}", f"{each.ratio:.3f}",
            f"{each.lower:.3f} to {each.upper:.3f}", f"{each.incomplete} of {each.turns}", verdict,
        )  # fmt: skip
    console.print(table)
    if record.bundle_differs_in:
        names = ", ".join(record.bundle_differs_in)
        console.print(f"The default bundles differ in {names}: what the model itself costs is part of the ratios.")
    if any(each.incomplete for each in record.comparisons):
        console.print("In incomplete turns labels were missing or the load came late: the machine was too busy.")
    for each in record.worse:
        console.print(f"worse by more than {record.tolerance:.0%}: {each.name}, {each.unit}: {each.ratio - 1:+.1%}")


def as_json(record: CostRecord) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def _about(record: CostRecord) -> str:
    machine = record.machine
    return (
        f"{record.date}, {machine['processor']}, {machine['cores']} cores; load average at the start "
        f"{machine['load']}; {record.minutes} minutes. This: {record.this}. Other: {record.other}."
    )
