"""When to connect again, and whether another client with the same id takes the connection away. Knows no paho."""

from __future__ import annotations

import random

LEAST_S = 0.1  # full jitter may draw 0, which would hammer the broker
FIRST_S = 1.0
STABLE_S = 10.0  # a connection that lasted so long was a good one
MAX_BRIEF = 3  # brief connections in a row: then two clients with one id end each other's


class Backoff:
    """Full jitter: a random delay below a bound that doubles up to `most_s`, so that many clients don't return at once
    (Brooker, "Exponential backoff and jitter", AWS Architecture Blog 2015).

    Where the broker ends one connection after another soon after its beginning, or says that another client took it
    over, `evicted` is set and the delays are long, so that two clients with one id don't fight for it.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s, self._since = most_s, 0.0
        self._brief = 0
        self.failures = 0

    @property
    def evicted(self) -> bool:
        return self._brief >= MAX_BRIEF

    def connected(self, now: float) -> None:
        self._since = now

    def stable(self, now: float) -> None:
        """Call while connected: a connection that has lasted STABLE_S ends the counts of failures."""
        if now - self._since >= STABLE_S:
            self.failures = self._brief = 0

    def lost(self, now: float, taken_over: bool = False) -> float:
        """A connection ended; returns the delay in s before the next attempt."""
        self.stable(now)
        self._brief = MAX_BRIEF if taken_over else self._brief + 1
        return self.failed()

    def failed(self) -> float:
        """An attempt failed; returns the delay in s before the next."""
        self.failures += 1
        bound = min(self._most_s, FIRST_S * 2 ** min(self.failures - 1, 16))
        least = LEAST_S
        if self.evicted:
            least, bound = self._most_s / 2, self._most_s
        return max(least, random.uniform(0, bound))
