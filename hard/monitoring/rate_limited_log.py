"""Log lines at a limited rate: what a broken sensor does a thousand times a second is told once, with its count."""

from __future__ import annotations

import logging
from time import monotonic


class RateLimitedLog:
    """At most one line a key in `every_s`; the next one says how many were left out. Keys must be few."""

    def __init__(self, logger: logging.Logger, every_s: float = 10.0) -> None:
        self._logger, self._every_s = logger, every_s
        self._last: dict[str, tuple[float, int]] = {}

    def warning(self, key: str, message: str, *args: object) -> None:
        """Logs `message % args` unless `key` was logged a moment ago."""
        now = monotonic()
        last, left_out = self._last.get(key, (-self._every_s, 0))
        if now - last < self._every_s:
            self._last[key] = (last, left_out + 1)
            return
        self._last[key] = (now, 0)
        more = f" ({left_out} more like it since)" if left_out else ""
        self._logger.warning(message + "%s", *args, more)
