"""The columns of a recording as its file holds them: which holds what, and the errors of files that can't be read.

Knows no file format, no units and no runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hard.errors import HardError
from hard.records import Float64Array
from hard.units import UNITS

# Names by which columns are recognised, in lower case and without a unit in brackets; of two that are there, the first
# of the list. `t` is the last: beside another column of times it is often a count.
COLUMNS = {
    "time": ("time", "timestamp", "time_s", "datetime", "date_time", "unix_time", "epoch", "seconds_elapsed", "t"),
    "x": ("x", "acc_x", "ax", "x-axis"),
    "y": ("y", "acc_y", "ay", "y-axis"),
    "z": ("z", "acc_z", "az", "z-axis"),
    "subject": ("subject", "user", "user_id", "subject_id", "person", "person_id", "participant", "id", "device"),
    "place": ("place", "placement", "body_position"),
    "truth": ("truth", "label", "activity"),
}
# Loggers write `Acceleration x (m/s^2)`, `Accelerometer X`, `accel_x`, `accX` or `gFx`. Not meant are gyroscopes, and
# linear or user acceleration, from which gravity was taken out.
AXIS = re.compile(r"(?:raw|total)?(?:a|acc|accel|acceleration|accelerometer|accelerations|gf|gforce)?([xyz])(?:axis)?")
BRACKETS = re.compile(r"[(\[](.*?)[)\]]")
UNIT_NAMES = {"m/s2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "ms-2": "m/s2", "ms^-2": "m/s2", "g": "g", "mg": "mg"}


class RecordingError(HardError):
    """The file or folder at `path` can't be read as a recording; `problem` is the sentence without the path."""

    exit_code = 2

    def __init__(self, path: Path, problem: object) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, str(problem)


class NoRecordError(RecordingError):
    """A file without anything that could be a sample, such as a read-me."""


class NoTimesError(RecordingError):
    """A file without times that can be used, where no rate was given."""


class NoGravityError(RecordingError):
    """A file from whose accelerations gravity was taken out, where no unit was stated."""

    def __init__(self, path: Path, median: float) -> None:
        self.measure = f"its accelerations hold no gravity (their median is {median:.3g})"
        super().__init__(path, f"{self.measure}: {self.advice()}")

    def advice(self, file: str = "") -> str:
        """What to record instead, and the option that takes every file, or the one called `file`, as it is."""
        return f"record them with gravity, or say --unit {f'{file}=' if file else ''}m/s2 to use them without"


class UnitError(RecordingError):
    """A file whose accelerations fit `likely_unit`, not `unit`, by their `median` as the file has it; of raw counts the
    likely unit is how many m/s² one is. `stated` says that the unit is sure not to lack gravity."""

    def __init__(self, path: Path, median: float, *, unit: str, likely_unit: str, stated: bool) -> None:
        likely = likely_unit if likely_unit in UNITS else "raw counts"
        self.measure = f"its median acceleration is {median:.4g}, which looks like {likely}, not {unit}"
        self.likely_unit, self.stated = likely_unit, stated
        super().__init__(path, f"{self.measure}: {self.advice()}")

    def advice(self, file: str = "") -> str:
        """The option that names the right unit: for every file, or for the one called `file`."""
        option = f"--unit {file}=" if file else "--unit "
        advice = f"say {option}{self.likely_unit}"
        return advice if self.stated else f"{advice}, or {option}m/s2 where gravity was taken out"


@dataclass(slots=True)
class Table:
    """Columns of a whole file, `xyz` (N, 3), and what was rejected, by reason; `examples` has the first of each reason
    with its line. `time_unit` where times were read as dates, `unit` where the header states it."""

    subject: list[str]
    truth: list[str] | None
    time: list[float] | None
    xyz: Float64Array
    rejected: Counter[str]
    time_unit: str | None = None
    place: list[str] | None = None
    unit: str | None = None
    examples: dict[str, str] = field(default_factory=dict)

    def reasons(self) -> str:
        """What was rejected, as part of a sentence."""
        counts = (f"{n} × {reason}" + self._example(reason) for reason, n in self.rejected.most_common() if n)
        return ", ".join(counts) or "it is empty"

    def _example(self, reason: str) -> str:
        return f" (first {self.examples[reason]})" if reason in self.examples else ""


def column_positions(
    header: Sequence[str], columns: Mapping[str, str], path: Path, line: int | None = None
) -> dict[str, int]:
    """The position of each kind of column in `header`, which stands on `line`; `columns` names those that HARD doesn't
    recognise, by kind.

    Raises RecordingError for a named column that the file doesn't have, NoRecordError where an axis is missing.
    """
    full = [name.strip().lower() for name in header]
    bare = [BRACKETS.sub("", name).strip() for name in full]
    has = f"line {line} has" if line else "has"
    positions = {}
    for kind, aliases in COLUMNS.items():
        if kind in columns:
            if (wanted := columns[kind].lower()) not in full:
                raise RecordingError(path, f"{has} no column {columns[kind]!r}; it has {', '.join(map(str, header))}")
            positions[kind] = full.index(wanted)
        elif (position := _recognised(kind, aliases, bare)) is not None:
            positions[kind] = position
        elif kind in "xyz":
            raise NoRecordError(
                path,
                f"{has} no column {kind!r}; it has {', '.join(map(str, header))}: "
                "say which holds it with --columns x=NAME,y=NAME,z=NAME",
            )
    return positions


def _recognised(kind: str, aliases: Sequence[str], names: Sequence[str]) -> int | None:
    if found := next((alias for alias in aliases if alias in names), None):
        return names.index(found)
    if kind not in "xyz":
        return None
    axes = [AXIS.fullmatch(re.sub(r"[^a-z]", "", name)) for name in names]
    return next((i for i, axis in enumerate(axes) if axis and axis.group(1) == kind), None)


def stated_unit(name: str) -> str | None:
    """The unit of acceleration that stands in brackets in the `name` of a column, such as `Acceleration x (m/s^2)`."""
    found = BRACKETS.search(name.lower())
    return UNIT_NAMES.get(found.group(1).replace(" ", "")) if found else None


def default_subject(path: Path) -> str:
    """The subject of a file without a column of subjects: the file's own name."""
    return path.name.partition(".")[0]
