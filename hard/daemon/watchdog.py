"""Whether the stages get on. In comes, each tick, how far a stage is and whether it has work; out goes who stalls.

Knows no thread and no clock: time is told to it. A stage without work never stalls, so an idle daemon is well; so is
one that keeps trying to reach an absent broker.
"""

from __future__ import annotations

from collections.abc import Iterable

from hard.pipeline.workers import Report

LONGEST_TICK_S = (
    2.0  # a later look means that nobody had time (a stopped process, a machine asleep): not the stages' fault
)
NOTICED_S = 5.0  # from here on a stall is worth telling


class Watchdog:
    """Remembers how long each stage has had work and made no progress."""

    def __init__(self, stages: Iterable[str]) -> None:
        self._looked_at: float | None = None
        self._last: dict[str, Report] = {}
        self.stalled_s = dict.fromkeys(stages, 0.0)

    def look(self, now: float, reports: Iterable[Report]) -> list[str]:
        """Takes the stages' reports at the monotonic time `now`; gives the stages that are stuck."""
        elapsed = 0.0 if self._looked_at is None else min(now - self._looked_at, LONGEST_TICK_S)
        self._looked_at = now
        stuck = []
        for report in reports:
            last = self._last.get(report.stage)
            waits = last is not None and report.has_work and last.has_work and report.steps == last.steps
            stalled = self.stalled_s[report.stage] + elapsed if waits else 0.0
            self._last[report.stage], self.stalled_s[report.stage] = report, stalled
            if stalled >= report.patience_s:
                stuck.append(report.stage)
        return stuck

    def told(self) -> list[str]:
        """A sentence for each stall worth telling."""
        return [f"{stage} makes no progress since {s:.0f} s" for stage, s in self.stalled_s.items() if s >= NOTICED_S]
