"""Log lines at a limited rate: a broken sensor may fail a thousand times a second, and gives one line with a count."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

EVERY_S = 10.0


class RateLimitedLog:
    """Logs at most one line a key in EVERY_S; the next one says how many were left out. Keys must be few.

    `clock` gives monotonic seconds."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = monotonic) -> None:
        self._logger, self._clock = logger, clock
        self._last: dict[str, tuple[float, int]] = {}  # by key: when it was logged, and how many were left out since

    def warning(self, key: str, message: str, *args: object) -> None:
        """Logs `message % args`, unless a line with this `key` was logged less than EVERY_S ago."""
        now = self._clock()
        logged_at, left_out = self._last.get(key, (-EVERY_S, 0))
        if now - logged_at < EVERY_S:
            self._last[key] = (logged_at, left_out + 1)
            return
        self._last[key] = (now, 0)
        more = f" ({left_out} more like it since)" if left_out else ""
        self._logger.warning(message + "%s", *args, more)
