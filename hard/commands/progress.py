"""A progress bar on standard error, if that is a terminal and the command prints nothing else to a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(verb: str, total: float, *, prints: bool) -> Iterator[Callable[[float], None]]:
    """Yields a function that advances the bar. `prints`: the command also writes results to standard output."""
    console = Console(stderr=True)
    shown = console.is_terminal and not (prints and sys.stdout.isatty())
    columns = TextColumn(verb), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not shown, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda amount: bar.advance(task, amount)
