"""A thread that remembers why it died, and since when it is at one piece of work. Knows nothing of the work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from time import monotonic

log = logging.getLogger(__name__)


class Progress:
    """Since when a worker is at one piece of work; None while it waits for the next. Written by it, read by any."""

    def __init__(self) -> None:
        self.since: float | None = None

    def begin(self) -> None:
        self.since = monotonic()

    def rest(self) -> None:
        self.since = None


class Worker(Thread):
    """Runs `work` once, to its end."""

    def __init__(self, name: str, work: Callable[[Progress], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._progress = work, Progress()
        self.finished = False
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work(self._progress)
            self.finished = True
        except BaseException as error:  # whatever it is, the main thread must hear of it
            self.error = error
            log.exception("the %s thread died", self.name)

    def trouble(self, stuck_after_s: float) -> str | None:
        """What is wrong with a worker that should be at work, as a sentence; None while it is well."""
        if not self.is_alive():
            return f"the {self.name} thread is dead: {self.error}"
        since = self._progress.since
        if since is not None and (for_s := monotonic() - since) > stuck_after_s:
            return f"the {self.name} thread is stuck: no progress for {for_s:.0f} s"
        return None
