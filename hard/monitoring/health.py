"""Counters and gauges → the health record, the problems as sentences, and the status line. Knows none of the parts."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from threading import Lock

import msgspec
import numpy as np

from hard.monitoring.accounting import Counters, Usefulness
from hard.records import ProblemSummary

LATENCIES_KEPT = 4096
LEAST_INTERVAL_S = 10.0  # over which the share of useless messages and windows is taken
STALL_REPORTED_S = 5.0  # shorter stalls are no problem to report


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the parts of the daemon hold at one moment. `stalled_s` is for how long each stage has had work and made no
    progress; `journal` is whether the journal is written, or None where the settings ask for none."""

    devices: int
    devices_active: int
    pending: int
    outbox: int
    connected: bool
    subscribed: bool
    reconnects: int
    uptime_s: float
    stalled_s: dict[str, float]
    journal: bool | None
    problems: ProblemSummary


class Rates(msgspec.Struct):
    """Per second, since the last record."""

    messages: float
    samples: float
    labels: float


class Queues(msgspec.Struct):
    """How many messages, windows and outgoing messages wait."""

    messages: int
    windows: int
    outbox: int


class Quantiles(msgspec.Struct):
    """Total latency in s of the last labels; null before the first."""

    p50: float | None
    p99: float | None


class DeviceCounts(msgspec.Struct):
    """Devices known, and those of them that aren't silent."""

    known: int
    active: int


class DeviceProblems(msgspec.Struct):
    """How many devices have which problem now, those that are not zero, and the kinds of those that are worst off."""

    counts: dict[str, int]
    worst: dict[str, list[str]]


class JournalState(msgspec.Struct):
    """Whether incoming messages are kept over a crash; `problem` says why not."""

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
    device_problems: DeviceProblems
    rates: Rates
    queues: Queues
    latency_s: Quantiles
    subscribed: bool
    journal: JournalState
    balanced: bool
    problems: list[str]
    accounting: Counters


class Latencies:
    """The total latencies of the last labels, for two quantiles. Thread-safe."""

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
    """Rates between two calls; the first is since the monotonic time `started_at`, when all counters were zero."""

    def __init__(self, started_at: float) -> None:
        self._at = started_at
        self._last = (0, 0, 0)

    def rates(self, counters: Counters, now: float) -> Rates:
        """The rates since the call before, at the monotonic time `now`."""
        counts = (counters.messages.received, counters.samples.decoded, counters.windows.published)
        elapsed_s = max(now - self._at, 1e-3)
        rates = Rates(*(round((new - old) / elapsed_s, 3) for new, old in zip(counts, self._last, strict=True)))
        self._at, self._last = now, counts
        return rates


class UselessMeter:
    """What share of messages and windows was of no use lately."""

    def __init__(self) -> None:
        self._last: deque[tuple[float, Usefulness]] = deque([(-inf, Usefulness(0, 0, 0, 0))])

    def problem(self, counts: Usefulness, now: float, interval_s: float, commonest: str) -> str:
        """A sentence where more than half of the messages or windows of the last interval were of no use, else empty.
        `counts` are those at the monotonic time `now`, `commonest` the commonest problem of devices."""
        self._last.append((now, counts))
        while len(self._last) > 1 and now - self._last[1][0] >= max(interval_s, LEAST_INTERVAL_S):
            self._last.popleft()
        came = Usefulness(*(new - old for new, old in zip(counts, self._last[0][1], strict=True)))
        for what, all_, useless in (
            ("messages", came.messages, came.useless_messages),
            ("windows", came.windows, came.useless_windows),
        ):
            if useless > all_ / 2:
                why = f"; {commonest}" if commonest else ""
                return f"{useless} of the last {all_} {what} were of no use{why}"
        return ""


def record(
    counters: Counters, gauges: Gauges, *, version: str, model: str, instance: str, at: float, every_s: float,
    rates: Rates, latency_s: Quantiles, journal: JournalState, problems: Sequence[str],
) -> Health:  # fmt: skip
    """The health record at the Unix time `at`. Counters that don't balance are added to `problems`."""
    discrepancies = counters.discrepancies()
    return Health(
        version=version,
        model=model,
        instance=instance,
        at=round(at, 3),
        every_s=every_s,
        uptime_s=round(gauges.uptime_s, 1),
        rss_bytes=rss_bytes(),
        devices=DeviceCounts(gauges.devices, gauges.devices_active),
        device_problems=DeviceProblems(
            {kind: n for kind, n in gauges.problems.counts.items() if n}, gauges.problems.worst
        ),
        rates=rates,
        queues=Queues(counters.messages.queued, gauges.pending, gauges.outbox),
        latency_s=latency_s,
        subscribed=gauges.subscribed,
        journal=journal,
        balanced=not discrepancies,
        problems=[*problems, *discrepancies],
        accounting=counters,
    )


def rss_bytes() -> int:
    """Resident memory of this process; 0 where /proc is absent."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123  (no Path object on a path taken each minute)
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def find_problems(gauges: Gauges, *, broker: str, evicted: str, journal: str, useless: str) -> list[str]:
    """What an operator should look at, a sentence each, the worst first; empty when all is well.

    `broker` is its host and port; `evicted`, `journal` and `useless` are the problems of session, journal and input, or
    empty."""
    stalls = [
        f"{stage} has made no progress for {s:.0f} s" for stage, s in gauges.stalled_s.items() if s >= STALL_REPORTED_S
    ]
    connection = ""
    if not gauges.connected:
        connection = f"no connection to the broker at {broker}"
    elif not gauges.subscribed:
        connection = f"not subscribed at the broker at {broker}"
    return [*stalls, *filter(None, (connection, evicted, journal, useless))]


def status_line(problems: Sequence[str], rates: Rates, gauges: Gauges) -> str:
    """One line for `systemctl status`."""
    state = "; ".join(problems) or "subscribed"
    devices = f"{gauges.devices_active} of {gauges.devices} devices active"
    return f"{state}; {rates.messages:.1f} messages/s, {rates.labels:.1f} labels/s, {devices}"
