"""A thread that remembers why it died, how far it came, and whether it has work. Knows nothing of the work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread

from hard.watchdog import Report

log = logging.getLogger(__name__)


class Progress:
    """How far a worker is. Written by it, read by any."""

    def __init__(self) -> None:
        self.steps = 0
        self.busy = False

    def begin(self) -> None:
        """A piece of work is in hand."""
        self.busy = True

    def step(self) -> None:
        """A part of a long piece is done."""
        self.steps += 1

    def rest(self) -> None:
        """It is done."""
        self.steps += 1
        self.busy = False


class Worker(Thread):
    """Runs `work` once, to its end. `waiting` says whether work waits for it."""

    def __init__(self, name: str, work: Callable[[Progress], None], waiting: Callable[[], bool]) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._waiting, self._progress = work, waiting, Progress()
        self.finished = False
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work(self._progress)
            self.finished = True
        except BaseException as error:  # whatever it is, the main thread must hear of it
            self.error = error
            log.exception("the %s thread died", self.name)

    def report(self, patience_s: float) -> Report:
        """How far it is, for the watchdog."""
        return Report(self.name, self._progress.steps, self._progress.busy or self._waiting(), patience_s)
