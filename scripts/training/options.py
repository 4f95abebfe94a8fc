"""What a person asks for on the command line. Imports nothing that is slow; `recipe.finalise` makes the choices left
open, and the commands' own parsers fill these records."""

from __future__ import annotations

from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hard.commands.arguments import columns, names, pairs

SCRATCH = "scratch"  # the base that is no checkpoint: random weights


@dataclass(frozen=True, slots=True)
class Source:
    """How recordings are written. `recorded_hz` is for those that carry no times; `unit`, `place` and `dataset` are as
    `loading.per_file` has them.

    `columns` are pairs of what a column holds and its name, `labels` of a label and its name in the recordings;
    windows of the labels in `drop` are left out.
    """

    time_unit: str | None = None
    recorded_hz: float | None = None
    unit: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    place: str = ""
    dataset: str = ""
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What options and recipe have in common. Without `holdout` no subject is kept for testing; `leave_out`
    names a data set, place or activity ("place=wrist") that nothing is learnt from; `validation` is how
    many of the others choose the epoch (None: 15 %), `epoch_windows` how many windows an epoch draws (None: all, to a
    limit), `time_limit` in minutes, `threads` 0 is torch's own choice."""

    data: tuple[Path, ...]
    out: Path
    source: Source = Source()
    base: str = SCRATCH
    prompt: str = "compact"
    features: tuple[str, ...] = ()
    levels: int = 16
    context: tuple[str, ...] = ()
    name: str = ""
    holdout: tuple[str, ...] = ()
    split: str = "subject"
    baselines: bool = True
    cross_validation: tuple[Path, ...] = ()
    leave_out: str = ""
    validation: int | None = None
    length_s: float = 4.0
    rate_hz: float = 20.0
    hop_s: float = 1.0
    patience: int = 4
    epoch_windows: int | None = None
    refit: bool = False
    resume: bool = False
    time_limit: float | None = None
    seed: int = 0
    precision: str = "auto"
    max_tokens: int = 512
    threads: int = 0
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Choices):
    """A fine-tune as it was asked for: what is None, or an empty name or feature list, depends on base and prompt."""

    epochs: int | None = None
    batch: int | None = None
    accumulate: int | None = None
    lr: float | None = None
    schedule: str | None = None
    copies: int | None = None
    word_dropout: float | None = None
    outliers: float | None = None
    label_smoothing: float | None = None


def add_source(p: ArgumentParser) -> None:
    """Adds the options that say how recordings are written, in a group of their own; `take_source` has the defaults."""
    group = p.add_argument_group("recordings")
    group.add_argument(
        "--time-unit", choices=("s", "ms", "us", "ns"), help="of their times (else recognised from the steps)"
    )
    group.add_argument("--recorded-hz", type=positive, help="rate of recordings that carry no times")
    group.add_argument("--columns", type=columns, help="time=NAME,x=NAME,…, where they have other names")
    group.add_argument(
        "--labels", type=pairs, help="LABEL=NAME,…: a label and its name in the recordings; A|B=NAME: one of two labels"
    )
    group.add_argument("--drop", type=names, help="labels whose windows are left out, comma-separated")
    group.add_argument(
        "--unit",
        action=_Joined,
        metavar="[FILE=]UNIT",
        help="m/s2, g, mg, mm/s2 or how many m/s² a raw count is, of all recordings or of one; may be repeated",
    )
    group.add_argument(
        "--place",
        action=_Joined,
        metavar="[FILE=]NAME",
        help="where the device was worn, in recordings without such a column; may be repeated",
    )
    group.add_argument(
        "--dataset",
        action=_Joined,
        metavar="FILE=NAME",
        help="the data set of a file or folder; may be repeated (the file's name)",
    )


def take_source(options: dict[str, Any]) -> Source:
    """The `Source` in parsed options, from which it is removed."""
    given = {field.name: options.pop(field.name, None) for field in fields(Source)}
    return Source(**{name: value for name, value in given.items() if value is not None})


class _Joined(Action):
    """What an option is given each time, with commas between."""

    def __call__(self, parser: ArgumentParser, options: Namespace, value: Any, option: str | None = None) -> None:
        setattr(options, self.dest, ",".join(filter(None, (getattr(options, self.dest, None), value))))


def folds(text: str) -> int | str:
    """A number of folds by subject, or what is left out in turn."""
    return text if text in ("dataset", "place", "activity") else int(text)


def positive(text: str) -> float:
    """The number of an option in seconds or Hz: from a thousandth to 100,000, as a grid takes them."""
    value = float(text)
    if not 0.001 <= value <= 100_000:
        raise ArgumentTypeError(f"must be 0.001 to 100000, not {text}")
    return value
