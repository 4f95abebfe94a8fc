"""Threads that report their progress, and a lock that they take in turn. Knows nothing of the work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """One stage at one tick. `steps` is any number that changes with each item done."""

    stage: str
    steps: int
    has_work: bool
    patience_s: float  # a stage that has work and makes no progress for so long is stuck


class Progress:
    """How far a worker is. The worker writes it, any thread reads it."""

    def __init__(self) -> None:
        self.steps = 0
        self.busy = False

    def begin(self) -> None:
        """The worker starts a piece of work."""
        self.busy = True

    def step(self) -> None:
        """A part of the piece is done."""
        self.steps += 1

    def rest(self) -> None:
        """The whole piece is done, and the worker waits for the next."""
        self.steps += 1
        self.busy = False


class FairLock:
    """A lock for which a thread that waits comes before the thread that held it last.

    Held for Python and numpy code, which the interpreter's lock lets only one thread run anyway. numpy gives that up in
    each call on more than 500 numbers, and gets it back from a busy thread only after 5 ms. Don't hold it while waiting
    for another thread.
    """

    def __init__(self) -> None:
        self._held, self._next = Lock(), Lock()

    def __enter__(self) -> None:
        with self._next:
            self._held.acquire()

    def __exit__(self, *_: object) -> None:
        self._held.release()

    @property
    def awaited(self) -> bool:
        """Whether a thread waits for the lock."""
        return self._next.locked()


class Worker(Thread):
    """Runs `work` once, to its end. `waiting` says whether there is work that it hasn't started."""

    def __init__(self, name: str, work: Callable[[Progress], None], waiting: Callable[[], bool]) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._waiting, self._progress = work, waiting, Progress()
        self.finished = False
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work(self._progress)
            self.finished = True
        except BaseException as error:  # the main thread ends the process, whatever it is
            self.error = error
            log.exception("the %s thread died", self.name)

    def report(self, patience_s: float) -> Report:
        """How far it is, for the watchdog."""
        return Report(self.name, self._progress.steps, self._progress.busy or self._waiting(), patience_s)
