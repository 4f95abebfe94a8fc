"""Tells an overload from a burst by the times at which the window queue was empty, served and shed, and gives how long
a window may wait. Pure: time is passed in.

A burst is worked off in time and leaves the queue empty, an overload never does: B. Maurer, "Fail at Scale", ACM Queue
13 (8), 2015.
"""

from __future__ import annotations

FRESH_S = 0.5  # how long a window may wait under overload
RECOVERY_S = 6.0  # an overload ends, and a device is no longer degraded, so long after the last window was shed


class OverloadDetector:
    """An overload is a queue that was not empty for `max_age_s`, or for as long as nothing had been shed before. It
    lasts until the queue is empty and nothing was shed for RECOVERY_S. All times are monotonic.

    If nothing was taken for `max_age_s`, the process was stopped or the model hung: what waits then is a backlog.
    """

    def __init__(self, max_age_s: float, now: float) -> None:
        self._max_age_s = self._patience_s = max_age_s
        self._shed_at = self._empty_at = float("-inf")
        self._taken_at = now

    def change(self, max_age_s: float) -> None:
        """Another age from now on."""
        self._max_age_s = max_age_s

    def is_overloaded(self, now: float) -> bool:
        return now - self._empty_at > self._patience_s and not self._stood_still(now)

    def max_wait_s(self, now: float) -> float:
        """How long a window may have waited at `now`."""
        return min(FRESH_S, self._max_age_s) if self.is_overloaded(now) else self._max_age_s

    def empty(self, now: float) -> bool:
        """The queue is empty. Gives whether no window was shed for RECOVERY_S, so that all is well."""
        calm_s = now - self._shed_at
        if calm_s <= RECOVERY_S:
            return False
        self._empty_at, self._patience_s = now, min(self._max_age_s, calm_s)
        return True

    def resume(self, now: float) -> None:
        """Windows are about to be taken. After a standstill the backlog gets its time."""
        if self._stood_still(now):
            self._empty_at = now

    def taken(self, now: float) -> None:
        """Windows were taken."""
        self._taken_at = now

    def shed(self, now: float, waited_s: float, *, stale: bool) -> None:
        """Windows were shed, the oldest after `waited_s`, because it was `stale` or had no room. Under overload fresh
        windows without room don't prolong it: a message longer than a device's line says nothing of the load."""
        if stale or waited_s > FRESH_S or not self.is_overloaded(now):
            self._shed_at = now

    def _stood_still(self, now: float) -> bool:
        return now - self._taken_at > self._max_age_s
