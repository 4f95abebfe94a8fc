"""WindowQueue windows → batches: first in, first out a device, fair across devices, bounded by age and number.

Knows no model: whoever labels takes what piled up while it was busy, so batch size follows load without a timer.
Burst and overload are told apart as in B. Maurer, "Fail at Scale", ACM Queue 13 (8), 2015: a burst is got through in
time and leaves the store empty, an overload never does.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Condition
from time import monotonic
from typing import Literal

from hard.records import Window

FRESH_S = 0.5  # how long a window may wait under overload
SETTLED_S = 6.0  # all is well again where nothing had to be shed for so long
HOLD_S = 4.0  # how long `put` waits for room; a stage without progress for 5 s would be told as stalled
Shed = Callable[[Literal["superseded", "stale", "shutdown"], list[Window]], None]
Line = deque[tuple[float, Window]]  # one device's waiting windows, each with the time at which it began to wait


@dataclass(frozen=True, slots=True)
class QueueBounds:
    """How long a window may wait, how many of one device, and how many in all."""

    max_age_s: float
    max_per_device: int
    max_windows: int


class WindowQueue:
    """The bounded store between assembling and labelling.

    A window may wait for `max_age_s`, and where its device's line or the store is full, `put` waits for room, which
    holds a burst back in the message queue and at the broker. A store that has not been empty for `max_age_s`, or for
    as long as nothing had been shed before, is overloaded: a window may wait for FRESH_S and `put` doesn't wait at all,
    until the store is empty and nothing was shed for SETTLED_S. A device whose oldest window has waited too long, or
    that finds no room, keeps its newest window only, and labels say `degraded` until SETTLED_S later. `shed` is told
    the reason and which.
    """

    def __init__(self, shed: Shed, bounds: QueueBounds) -> None:
        self._shed, self._bounds = shed, bounds
        self._lines: OrderedDict[str, Line] = OrderedDict()  # devices with something waiting, next in turn first
        self._degraded: dict[str, float] = {}  # devices, and when something of them was shed last
        self._shed_at = self._empty_at = float("-inf")  # when anything was shed, and when the store was empty, last
        self._patience_s, self._taken_at = bounds.max_age_s, monotonic()
        self._size = 0
        self._closed = self._abandoned = False
        self._changed = Condition()

    def __len__(self) -> int:
        return self._size

    def change(self, bounds: QueueBounds) -> None:
        """Other bounds from now on."""
        with self._changed:
            self._bounds = bounds
            self._changed.notify_all()

    def put(self, windows: Sequence[Window], waited: Callable[[], None] = lambda: None) -> None:
        """Adds closed windows, oldest first. For each it waits up to HOLD_S for room, though not under overload, and
        then tells `waited`."""
        if not windows:
            return
        with self._changed:
            if self._abandoned:
                self._shed("shutdown", list(windows))
                return
            for window in windows:
                device, now = window.device, monotonic()
                if not self._size and now - self._shed_at > SETTLED_S:
                    self._empty_at, self._patience_s = now, min(self._bounds.max_age_s, now - self._shed_at)
                    self._degraded.clear()  # also of devices that are gone
                if crowded := not self._room(device):
                    crowded, now = not self._wait_for_room(device), monotonic()
                    waited()
                line = self._lines.setdefault(device, deque())
                line.append((now, window))
                self._size += 1
                if crowded:
                    self._keep_newest(device, line, "superseded")
            self._changed.notify_all()

    def take(self, most: int) -> list[Window]:
        """Waits for windows; gives at most `most`, one a device in turn. Empty only once closed and drained."""
        with self._changed:
            if self._stood_still(now := monotonic()):
                self._empty_at = now
            while not self._size and not self._closed:
                self._changed.wait()
            now = monotonic()
            limit_s = min(FRESH_S, self._bounds.max_age_s) if self._overloaded(now) else self._bounds.max_age_s
            batch: list[Window] = []
            while self._lines and len(batch) < most:
                device, line = self._lines.popitem(last=False)
                if now - line[0][0] > limit_s:
                    self._keep_newest(device, line, "stale")
                since, window = line.popleft()
                self._size -= 1
                if device in self._degraded:
                    if since <= self._degraded[device] + SETTLED_S:
                        window = replace(window, degraded=True)
                    else:
                        del self._degraded[device]
                batch.append(window)
                if line:
                    self._lines[device] = line
            self._taken_at = monotonic()
            self._changed.notify_all()
            return batch

    def forget(self, device: str) -> None:
        """The device is gone: if it returns, it is well."""
        with self._changed:
            self._degraded.pop(device, None)

    def close(self) -> None:
        """Nothing more comes; `take` gives what is left, then empty batches."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Sheds all that waits, and all that still comes."""
        with self._changed:
            self._abandoned = True
            waiting = [window for line in self._lines.values() for _, window in line]
            self._size = 0
            self._lines.clear()
        if waiting:
            self._shed("shutdown", waiting)

    def _room(self, device: str) -> bool:
        line = self._lines.get(device)
        return self._closed or (
            self._size < self._bounds.max_windows and (line is None or len(line) < self._bounds.max_per_device)
        )

    def _wait_for_room(self, device: str) -> bool:
        self._changed.notify_all()
        self._changed.wait_for(lambda: self._room(device) or self._overloaded(monotonic()), HOLD_S)
        return self._room(device)

    def _overloaded(self, now: float) -> bool:
        return now - self._empty_at > self._patience_s and not self._stood_still(now)

    def _stood_still(self, now: float) -> bool:
        """Whether the process was stopped, or the model hung: then what waits is a backlog and no load."""
        return now - self._taken_at > self._bounds.max_age_s

    def _keep_newest(self, device: str, line: Line, reason: Literal["superseded", "stale"]) -> None:
        *dropped, newest = line
        if dropped:
            self._degraded[device] = now = monotonic()
            if reason == "stale" or now - line[0][0] > FRESH_S or not self._overloaded(now):
                self._shed_at = now  # but a message longer than a line says nothing of the load
            line.clear()
            line.append(newest)
            self._size -= len(dropped)
            self._shed(reason, [window for _, window in dropped])
