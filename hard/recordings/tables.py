"""The columns of a recording as its file holds them: which holds what, and the errors of files that can't be read.

Knows no file format, no units and no runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hard.errors import HardError
from hard.records import Float64Array

# Names by which columns are recognised, in lower case.
COLUMNS = {
    "time": ("t", "time", "timestamp", "time_s"),
    "x": ("x", "acc_x", "ax", "x-axis"),
    "y": ("y", "acc_y", "ay", "y-axis"),
    "z": ("z", "acc_z", "az", "z-axis"),
    "subject": ("subject", "user", "user_id", "subject_id", "person", "person_id", "participant", "id", "device"),
    "place": ("place", "placement", "body_position"),
    "truth": ("truth", "label", "activity"),
}


class RecordingError(HardError):
    """The file or folder at `path` can't be read as a recording; `problem` is the sentence without the path."""

    exit_code = 2

    def __init__(self, path: Path, problem: object) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, str(problem)


class NoRecordError(RecordingError):
    """A file without anything that could be a sample, such as a read-me."""


class NoTimesError(RecordingError):
    """A file without times, where no rate was given."""


class UnitError(RecordingError):
    """A file whose accelerations fit `likely_unit`, not `unit`, by their median in that unit. `stated` says that the
    user named the unit."""

    def __init__(self, path: Path, median: float, *, unit: str, likely_unit: str, stated: bool) -> None:
        self.measure = f"its median acceleration is {median:.4g}, which looks like {likely_unit}, not {unit}"
        self.likely_unit, self.stated = likely_unit, stated
        super().__init__(path, f"{self.measure}: {self.advice()}")

    def advice(self, file: str = "") -> str:
        """The option that names the right unit: for every file, or for the one called `file`."""
        option = f"--unit {file}=" if file else "--unit "
        advice = f"say {option}{self.likely_unit}"
        return advice if self.stated else f"{advice}, or {option}m/s2 where gravity was taken out"


@dataclass(slots=True)
class Table:
    """Columns of a whole file, `xyz` (N, 3), and what was rejected, by reason; `time_unit` where the file states it."""

    subject: list[str]
    truth: list[str] | None
    time: list[float] | None
    xyz: Float64Array
    rejected: Counter[str]
    time_unit: str | None = None
    place: list[str] | None = None


def column_positions(header: Sequence[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    """The position of each kind of column in `header`; `columns` names those that aren't in COLUMNS, by kind.

    Raises RecordingError for a named column that the file doesn't have, NoRecordError where an axis is missing.
    """
    found = [name.strip().lower() for name in header]
    positions = {}
    for kind, aliases in COLUMNS.items():
        wanted = (columns[kind].lower(),) if kind in columns else aliases
        position = next((found.index(name) for name in wanted if name in found), None)
        if position is not None:
            positions[kind] = position
        elif kind in columns:
            raise RecordingError(path, f"has no column {columns[kind]!r}; it has {', '.join(map(str, header))}")
        elif kind in "xyz":
            raise NoRecordError(
                path,
                f"has no column {kind!r}; it has {', '.join(map(str, header))}: "
                "say which holds it with --columns x=NAME,y=NAME,z=NAME",
            )
    return positions


def default_subject(path: Path) -> str:
    """The subject of a file without a column of subjects: the file's own name."""
    return path.name.partition(".")[0]
