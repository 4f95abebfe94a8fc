"""Counts what became of messages, samples and windows. The counters of each must balance at any moment.

Thread-safe: each call is one step under one lock, so `counters` never gives half a step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from copy import copy
from threading import Lock
from typing import Literal, NamedTuple

import msgspec

from hard.records import CounterDelta

Abandoned = Literal["superseded", "stale", "failed", "low_coverage", "outbox_full", "shutdown", "published_before"]
# Why messages are rejected. Each is counted from zero: Prometheus sees no increase in a counter that begins at one.
REASONS = (
    *("json", "csv", "msgpack", "cbor", "int16", "gzip", "fields", "empty", "not_finite", "rate", "time_unit"),
    *("no_gravity", "other_sensor", "retained", "content_type", "topic", "oversized", "internal"),
)
OTHER_SENSOR = "other_sensor"  # a message that was decoded, and is of no use
INVALID = ("not_finite", "time")  # why samples of a message are left out


class MessageCounters(msgspec.Struct):
    """received + replayed = decoded + malformed + oversized + shed + queued.

    What is `queued` at the end of the process was not acknowledged: the broker sends it to the next one.
    """

    received: int = 0
    replayed: int = 0
    decoded: int = 0
    malformed: int = 0
    oversized: int = 0
    shed: int = 0
    queued: int = 0


class SampleCounters(msgspec.Struct):
    """decoded + restored = accepted + late + duplicate + out_of_range + held; accepted = used + unused + buffered.

    `missing` estimates what devices left out, and `invalid` are those left out of decoded messages: they are in neither
    balance.
    """

    decoded: int = 0
    restored: int = 0
    accepted: int = 0
    late: int = 0
    duplicate: int = 0
    out_of_range: int = 0
    held: int = 0
    used: int = 0
    unused: int = 0
    buffered: int = 0
    missing: int = 0
    invalid: int = 0


class WindowCounters(msgspec.Struct):
    """closed + restored = published + superseded + stale + failed + low_coverage + outbox_full + shutdown +
    published_before + in_flight.

    `published_before`: closed once more from the journal, and found to have been resolved by an earlier process.
    """

    closed: int = 0
    restored: int = 0
    published: int = 0
    superseded: int = 0
    stale: int = 0
    failed: int = 0
    low_coverage: int = 0
    outbox_full: int = 0
    shutdown: int = 0
    published_before: int = 0
    in_flight: int = 0


class Usefulness(NamedTuple):
    """Messages and windows so far, and how many of each were of no use."""

    messages: int
    useless_messages: int
    windows: int
    useless_windows: int


class Counters(msgspec.Struct, frozen=True):
    """All counters at one moment."""

    messages: MessageCounters
    samples: SampleCounters
    windows: WindowCounters

    def discrepancies(self) -> list[str]:
        """A sentence for each balance that doesn't hold."""
        m, s, w = self.messages, self.samples, self.windows
        abandoned = w.superseded + w.stale + w.failed + w.low_coverage + w.outbox_full + w.shutdown + w.published_before
        sums = {
            "messages received": (m.received + m.replayed, m.decoded + m.malformed + m.oversized + m.shed + m.queued),
            "samples decoded": (s.decoded + s.restored, s.accepted + s.late + s.duplicate + s.out_of_range + s.held),
            "samples accepted": (s.accepted, s.used + s.unused + s.buffered),
            "windows closed": (w.closed + w.restored, w.published + abandoned + w.in_flight),
        }
        return [f"{name}: {left} in, {right} accounted for" for name, (left, right) in sums.items() if left != right]


class Accounting:
    """The running counters; rejected messages by reason; runs and clock jumps."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._messages, self._samples, self._windows = MessageCounters(), SampleCounters(), WindowCounters()
        self._reasons: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._invalid: Counter[str] = Counter(dict.fromkeys(INVALID, 0))
        self._runs = self._jumps = self._unusable = 0

    def received(self) -> None:
        """A new message waits in the queue."""
        with self._lock:
            self._messages.received += 1
            self._messages.queued += 1

    def replayed(self) -> None:
        """A message from the journal of an earlier process waits in the queue."""
        with self._lock:
            self._messages.replayed += 1
            self._messages.queued += 1

    def restored(self, delta: CounterDelta, windows: int) -> None:
        """Samples in buffers, and windows not yet resolved, that an earlier process left."""
        with self._lock:
            self._add(delta)
            self._windows.restored += windows
            self._windows.in_flight += windows

    def shed(self) -> None:
        """The message just received found the queue full."""
        with self._lock:
            self._messages.queued -= 1
            self._messages.shed += 1

    def rejected(self, reason: str) -> None:
        """A queued message can't be used."""
        with self._lock:
            self._messages.queued -= 1
            if reason == "oversized":
                self._messages.oversized += 1
            elif reason == OTHER_SENSOR:
                self._messages.decoded += 1
            else:
                self._messages.malformed += 1
            self._reasons[reason] += 1

    def decoded(self, delta: CounterDelta, invalid: Iterable[tuple[str, int]] = ()) -> None:
        """A queued message was decoded; `delta` is what became of its samples, and `invalid` were left out."""
        with self._lock:
            self._messages.queued -= 1
            self._messages.decoded += 1
            self._add(delta)
            for reason, n in invalid:
                self._samples.invalid += n
                self._invalid[reason] += n

    def unusable(self, windows: int) -> None:
        """These windows' devices have problems with which no label means anything."""
        with self._lock:
            self._unusable += windows

    def usefulness(self) -> Usefulness:
        """How many messages and windows were of no use, of how many that came."""
        with self._lock:
            m, w = self._messages, self._windows
            refused = m.malformed + m.oversized - self._reasons["retained"]
            lost = w.low_coverage + w.superseded + w.stale + w.failed + w.outbox_full
            return Usefulness(m.decoded + refused, refused, w.closed, lost + self._unusable)

    def changed(self, delta: CounterDelta) -> None:
        """Samples changed without a message: after a silence, an eviction, at the end."""
        with self._lock:
            self._add(delta)

    def published(self, windows: int = 1) -> None:
        """Labels that the broker acknowledged."""
        with self._lock:
            self._windows.published += windows
            self._windows.in_flight -= windows

    def abandoned(self, reason: Abandoned, windows: int = 1) -> None:
        """Windows that will not be published."""
        with self._lock:
            setattr(self._windows, reason, getattr(self._windows, reason) + windows)
            self._windows.in_flight -= windows

    def counters(self) -> Counters:
        """A copy of all counters at this moment."""
        with self._lock:
            return Counters(copy(self._messages), copy(self._samples), copy(self._windows))

    def reasons(self) -> dict[str, int]:
        """Rejected messages by reason."""
        with self._lock:
            return dict(self._reasons)

    def invalid(self) -> dict[str, int]:
        """Samples left out of messages, by reason."""
        with self._lock:
            return dict(self._invalid)

    def runs(self) -> tuple[int, int]:
        """Runs begun, and clocks found set back."""
        with self._lock:
            return self._runs, self._jumps

    def _add(self, delta: CounterDelta) -> None:
        samples = self._samples
        samples.decoded += delta.decoded
        samples.restored += delta.restored
        samples.accepted += delta.accepted
        samples.late += delta.late
        samples.duplicate += delta.duplicate
        samples.out_of_range += delta.out_of_range
        samples.held += delta.held
        samples.used += delta.used
        samples.unused += delta.unused
        samples.buffered += delta.accepted - delta.used - delta.unused
        samples.missing += delta.missing
        self._windows.closed += delta.windows_closed
        self._windows.low_coverage += delta.windows_low_coverage
        self._windows.in_flight += delta.windows_closed - delta.windows_low_coverage
        self._runs += delta.runs
        self._jumps += delta.jumps
