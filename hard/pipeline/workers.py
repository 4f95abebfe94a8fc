"""A thread that remembers why it died, how far it came, and whether it has work; and threads that take turns. Knows
nothing of the work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """One stage at one tick. `steps` is any number that changes with each item dealt with."""

    stage: str
    steps: int
    has_work: bool
    patience_s: float  # with work and without progress for so long, it is stuck


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


class FairLock:
    """`with turns:` one thread at a time, and who waits comes before who was just there.

    For what is Python or numpy: there Python's own lock lets one thread run anyway, but numpy gives it up in each call
    on more than 500 numbers, and gets it back from a busy thread only after 5 ms. Not for what waits for others.
    """

    def __init__(self) -> None:
        self._here, self._next = Lock(), Lock()

    def __enter__(self) -> None:
        with self._next:
            self._here.acquire()

    def __exit__(self, *_: object) -> None:
        self._here.release()


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
