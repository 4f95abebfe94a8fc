"""Pending windows → batches: first in, first out a device, fair across devices, bounded by age and number.

Knows no model: whoever labels takes what piled up while it was busy, so batch size follows load without a timer.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Condition
from time import monotonic
from typing import Literal

from hard.records import Window

RECOVERED_S = 1.0  # a degraded device is on probation when its window waits less than this …
PROBATION_S = 5.0  # … for so long …
PROBATION_WAIT_S = 0.5  # … during which none may wait longer than this
PATIENCE_S = 1.0  # how long `put` waits for room: a burst that is caught up in this time loses nothing
REFILL = 0.1  # share of the time by which patience grows again: waiting more than that is no burst but overload
Shed = Callable[[Literal["superseded", "stale", "shutdown"], list[Window]], None]


@dataclass(slots=True)
class Line:
    """One device's waiting windows, each with the time at which it began to wait."""

    waiting: deque[tuple[float, Window]] = field(default_factory=deque)


class Pending:
    """The bounded store between assembling and labelling.

    A device's line that is full, or a full store, makes `put` wait a moment, which holds a burst back in the message
    queue and at the broker. Where that doesn't help, where it was needed for `max_age_s` in all, or where a window has
    waited longer than `max_age_s`, the device is degraded: only its newest window is kept, the rest are shed, until one
    gets through quickly; at first any wait degrades it again. Its labels say so.
    `shed` is told the reason and which.
    """

    def __init__(
        self, shed: Shed, *, max_age_s: float = 30.0, max_per_device: int = 64, max_windows: int = 50_000
    ) -> None:
        self._shed = shed
        self._max_age_s, self._max_per_device, self._max_windows = max_age_s, max_per_device, max_windows
        self._lines: OrderedDict[str, Line] = OrderedDict()  # devices with something waiting, next in turn first
        self._degraded: set[str] = set()
        self._probation: dict[str, float] = {}  # devices that were degraded, and since when they aren't
        self._shed_at = 0.0  # when any device was shed last: the room that it left is no sign that all is well
        self._patience_s, self._patient_at = max_age_s, monotonic()
        self._size = 0
        self._closed = self._abandoned = False
        self._changed = Condition()

    def __len__(self) -> int:
        return self._size

    def change(self, *, max_age_s: float, max_per_device: int, max_windows: int) -> None:
        """Other bounds from now on."""
        with self._changed:
            self._max_age_s, self._max_per_device, self._max_windows = max_age_s, max_per_device, max_windows
            self._changed.notify_all()

    def put(self, windows: Sequence[Window], waited: Callable[[], None] = lambda: None) -> None:
        """Adds closed windows, oldest first. For each it waits up to PATIENCE_S for room, though not for a degraded
        device, and then tells `waited`."""
        if not windows:
            return
        with self._changed:
            if self._abandoned:
                self._shed("shutdown", list(windows))
                return
            for window in windows:
                if not self._room(window.device) and window.device not in self._degraded:
                    self._changed.notify_all()
                    self._wait_for_room(window.device)
                    waited()
                crowded = not self._room(window.device)
                line = self._lines.setdefault(window.device, Line())
                line.waiting.append((monotonic(), window))
                self._size += 1
                if crowded or window.device in self._degraded:
                    self._keep_newest(window.device, line, "superseded")
            self._changed.notify_all()

    def take(self, most: int) -> list[Window]:
        """Waits for windows; gives at most `most`, one a device in turn. Empty only once closed and drained."""
        with self._changed:
            while not self._size and not self._closed:
                self._changed.wait()
            now = monotonic()
            batch: list[Window] = []
            while self._lines and len(batch) < most:
                device, line = self._lines.popitem(last=False)
                if now - line.waiting[0][0] > self._limit(device, now):
                    self._keep_newest(device, line, "stale")
                since, window = line.waiting.popleft()
                self._size -= 1
                if device in self._degraded:
                    window = replace(window, degraded=True)
                    if now - since < RECOVERED_S:
                        self._degraded.discard(device)
                        self._probation[device] = now
                batch.append(window)
                if line.waiting:
                    self._lines[device] = line
            self._changed.notify_all()
            return batch

    def forget(self, device: str) -> None:
        """The device is gone: if it returns, it is well."""
        with self._changed:
            self._degraded.discard(device)
            self._probation.pop(device, None)

    def close(self) -> None:
        """Nothing more comes; `take` gives what is left, then empty batches."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Sheds all that waits, and all that still comes."""
        with self._changed:
            self._abandoned = True
            waiting = [window for line in self._lines.values() for _, window in line.waiting]
            self._size = 0
            self._lines.clear()
        if waiting:
            self._shed("shutdown", waiting)

    def _room(self, device: str) -> bool:
        line = self._lines.get(device)
        return self._closed or (
            self._size < self._max_windows and (line is None or len(line.waiting) < self._max_per_device)
        )

    def _wait_for_room(self, device: str) -> None:
        """As long as patience lasts: a burst ends, an overload doesn't, and would only move the queue to the broker."""
        begun = monotonic()
        self._patience_s = min(self._max_age_s, self._patience_s + REFILL * (begun - self._patient_at))
        self._changed.wait_for(lambda: self._room(device), min(PATIENCE_S, self._patience_s))
        self._patient_at = monotonic()
        self._patience_s -= self._patient_at - begun

    def _limit(self, device: str, now: float) -> float:
        """How long a window of `device` may have waited."""
        since = self._probation.get(device)
        if since is None:
            return self._max_age_s
        if now - max(since, self._shed_at) <= PROBATION_S:
            return min(PROBATION_WAIT_S, self._max_age_s)
        del self._probation[device]
        return self._max_age_s

    def _keep_newest(self, device: str, line: Line, reason: Literal["superseded", "stale"]) -> None:
        self._degraded.add(device)
        self._probation.pop(device, None)
        *dropped, newest = line.waiting
        if dropped:
            self._shed_at = monotonic()
            line.waiting.clear()
            line.waiting.append(newest)
            self._size -= len(dropped)
            self._shed(reason, [window for _, window in dropped])
