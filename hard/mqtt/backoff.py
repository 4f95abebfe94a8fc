"""When to try the broker again, and whether another client with the same id takes it away. Knows no paho."""

from __future__ import annotations

import random

LEAST_S = 0.1  # full jitter may draw 0, which would hammer the broker
FIRST_S = 1.0
STABLE_S = 10.0  # a connection that lived for so long was a good one
EVICTED = 3  # so many in a row that didn't: two clients with one id end each other's, for ever if both are quick


class Backoff:
    """Full jitter: a random delay below a bound that doubles up to `most_s`, so that a fleet doesn't come back in step.

    Where the broker ends connection after connection soon after its beginning, or says that another client took it
    over, `evicted` is set and the delays are long at once: no war for the id.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s, self._since = most_s, 0.0
        self._brief = 0
        self.failures = 0

    @property
    def evicted(self) -> bool:
        return self._brief >= EVICTED

    def connected(self, now: float) -> None:
        self._since = now

    def stable(self, now: float) -> None:
        """A connection is there: has it proved to be a good one?"""
        if now - self._since >= STABLE_S:
            self.failures = self._brief = 0

    def lost(self, now: float, taken_over: bool = False) -> float:
        """A connection ended; gives the delay in s before the next attempt."""
        self.stable(now)
        self._brief = EVICTED if taken_over else self._brief + 1
        return self.failed()

    def failed(self) -> float:
        """An attempt failed; gives the delay in s before the next."""
        self.failures += 1
        bound = min(self._most_s, FIRST_S * 2 ** min(self.failures - 1, 16))
        least = LEAST_S
        if self.evicted:
            least, bound = self._most_s / 2, self._most_s
        return max(least, random.uniform(0, bound))
