"""Whether the process is well: each tick, the threads and the network session in, the reason to end out.

`StallDetector` is the rule, without threads and clock; `Watchdog` applies it to the daemon's own threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hard.mqtt.session import Session
from hard.pipeline.workers import Report, Worker

LONGEST_TICK_S = 2.0  # a later tick means that the whole process stood still (stopped, or the machine asleep)
NETWORK = "network"


class StallDetector:
    """Remembers for how long each stage has had work and made no progress.

    A stage without work never stalls, so an idle daemon is well."""

    def __init__(self, stages: Iterable[str]) -> None:
        self._looked_at: float | None = None
        self._last: dict[str, Report] = {}
        self.stalled_s = dict.fromkeys(stages, 0.0)

    def look(self, now: float, reports: Iterable[Report]) -> list[str]:
        """Takes the stages' reports at the monotonic time `now`; gives the stages that are stuck."""
        elapsed_s = 0.0 if self._looked_at is None else min(now - self._looked_at, LONGEST_TICK_S)
        self._looked_at = now
        stuck = []
        for report in reports:
            last = self._last.get(report.stage)
            waits = last is not None and report.has_work and last.has_work and report.steps == last.steps
            stalled_s = self.stalled_s[report.stage] + elapsed_s if waits else 0.0
            self._last[report.stage], self.stalled_s[report.stage] = report, stalled_s
            if stalled_s >= report.patience_s:
                stuck.append(report.stage)
        return stuck


class Watchdog:
    """Checks that the `workers` and the network thread of `session` live and get on.

    A stage is stuck after `patience_s` with work and without progress; while there is no connection, the network thread
    is stuck after `connect_patience_s` without an attempt to connect."""

    def __init__(
        self, workers: Sequence[Worker], session: Session, *, patience_s: float, connect_patience_s: float
    ) -> None:
        self._workers, self._session = workers, session
        self._patience_s, self._connect_patience_s = patience_s, connect_patience_s
        self._stalls = StallDetector([*(worker.name for worker in workers), NETWORK])

    @property
    def stalled_s(self) -> dict[str, float]:
        """For how long each stage has had work and made no progress."""
        return dict(self._stalls.stalled_s)

    def check(self, now: float) -> str | None:
        """Why the process must end at the monotonic time `now`, as a sentence; None while it is well."""
        for worker in self._workers:
            if not worker.is_alive():
                return f"the {worker.name} thread is dead: {worker.error}"
        if not self._session.alive:
            return "the network thread is dead"
        if self._session.failed:
            return f"the network thread failed: {self._session.failed}"
        reports = [*(worker.report(self._patience_s) for worker in self._workers), self._network()]
        if stuck := self._stalls.look(now, reports):
            return f"the {stuck[0]} thread is stuck: it has work and makes no progress"
        return None

    def _network(self) -> Report:
        # It always has work: its loop turns at rest too, and without a broker it keeps trying to connect.
        patience_s = self._patience_s if self._session.connected else self._connect_patience_s
        return Report(NETWORK, self._session.turns, True, patience_s)
