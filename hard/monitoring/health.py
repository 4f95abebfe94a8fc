"""How the daemon is: the health record, and the sentences about it. Knows no room's inside; it is told numbers."""

from __future__ import annotations

import os
from collections import deque
from threading import Lock
from time import monotonic

import msgspec
import numpy as np

from hard.monitoring.accounting import Counters

LATENCIES_KEPT = 4096


class Rates(msgspec.Struct):
    """Per second, since the last record."""

    messages: float
    samples: float
    labels: float


class Queues(msgspec.Struct):
    """What waits where."""

    messages: int
    windows: int
    outbox: int


class Quantiles(msgspec.Struct):
    """Total latency in s of the last labels; null before the first."""

    p50: float | None
    p99: float | None


class DeviceCounts(msgspec.Struct):
    known: int
    active: int


class JournalState(msgspec.Struct):
    """Whether what comes in is safe, and why not."""

    durability: str
    writing: bool
    problem: str


class Health(msgspec.Struct):
    """The payload of `hard/health`. `at` is Unix s, the next record follows after `every_s`; no `problems`: healthy."""

    version: str
    model: str
    instance: str
    at: float
    every_s: float
    uptime_s: float
    rss_bytes: int
    devices: DeviceCounts
    rates: Rates
    queues: Queues
    latency_s: Quantiles
    subscribed: bool
    journal: JournalState
    balanced: bool
    problems: list[str]
    accounting: Counters


class Latencies:
    """The last total latencies, for two quantiles."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._lock = Lock()

    def observe(self, seconds: float) -> None:
        with self._lock:
            self._last.append(seconds)

    def quantiles(self) -> Quantiles:
        with self._lock:
            values = list(self._last)
        if not values:
            return Quantiles(None, None)
        p50, p99 = np.quantile(values, (0.5, 0.99))
        return Quantiles(round(float(p50), 6), round(float(p99), 6))


class RateMeter:
    """Rates between two looks at the counters."""

    def __init__(self) -> None:
        self._at = monotonic()
        self._last = (0, 0, 0)

    def rates(self, counters: Counters) -> Rates:
        now, counts = monotonic(), (counters.messages.received, counters.samples.decoded, counters.windows.published)
        elapsed = max(now - self._at, 1e-3)
        rates = Rates(*(round((new - old) / elapsed, 3) for new, old in zip(counts, self._last, strict=True)))
        self._at, self._last = now, counts
        return rates


def rss_bytes() -> int:
    """Resident memory of this process; 0 where /proc is absent."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123  (no Path object on a path taken each minute)
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def problems(connected: bool, subscribed: bool, where: str, stalls: list[str]) -> list[str]:
    """What an operator should look at, a sentence each, the worst first."""
    if not connected:
        return [*stalls, f"no connection to the broker at {where}"]
    return stalls if subscribed else [*stalls, f"not subscribed at the broker at {where}"]


def status_line(wrong: list[str], rates: Rates, devices: DeviceCounts) -> str:
    """One line for `systemctl status`."""
    how = "; ".join(wrong) or "subscribed"
    fleet = f"{devices.active} of {devices.known} devices active"
    return f"{how}; {rates.messages:.1f} messages/s, {rates.labels:.1f} labels/s, {fleet}"
