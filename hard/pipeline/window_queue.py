"""Windows → batches: first in, first out for each device, in turn across devices, bounded by age and number.

Knows no model: the labeller takes what piled up while it was busy, so the batch size follows the load without a timer.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Condition
from time import monotonic
from typing import Literal

from hard.pipeline.overload_detector import RECOVERY_S, OverloadDetector
from hard.records import Window

PUT_WAIT_S = 4.0  # how long `put` waits for room: less than health.STALL_REPORTED_S, so that it is no stall
Shed = Callable[[Literal["superseded", "stale", "shutdown"], list[Window]], None]
Line = deque[tuple[float, Window]]  # one device's waiting windows, each with the time at which it began to wait


@dataclass(frozen=True, slots=True)
class QueueBounds:
    """How long a window may wait, how many of one device, and how many in all."""

    max_age_s: float
    max_per_device: int
    max_windows: int


class WindowQueue:
    """The bounded queue between the assembler and the labeller.

    A window may wait for `max_age_s`. If its device's line or the queue is full, `put` waits for room, which holds a
    burst back in the message queue and at the broker. Under overload (see `OverloadDetector`) a window may wait for
    FRESH_S and `put` doesn't wait. A device whose oldest window has waited too long, or that gets no room, keeps its
    newest window only, and its windows are `degraded` until RECOVERY_S later. `shed` gets the others with the reason.
    """

    def __init__(
        self, shed: Shed, bounds: QueueBounds, *, hold_s: float = PUT_WAIT_S, clock: Callable[[], float] = monotonic
    ) -> None:
        self._shed, self._bounds, self._hold_s, self._clock = shed, bounds, hold_s, clock
        self._overload = OverloadDetector(bounds.max_age_s, clock())
        self._lines: OrderedDict[str, Line] = OrderedDict()  # devices with something waiting, next in turn first
        self._degraded: dict[str, float] = {}  # devices, and when one of their windows was shed last
        self._size = 0
        self._closed = self._abandoned = False
        self._changed = Condition()

    def __len__(self) -> int:
        return self._size

    @property
    def degraded(self) -> int:
        """How many devices are remembered as degraded."""
        return len(self._degraded)

    def change(self, bounds: QueueBounds) -> None:
        """Other bounds from now on."""
        with self._changed:
            self._bounds = bounds
            self._overload.change(bounds.max_age_s)
            self._changed.notify_all()

    def put(self, windows: Sequence[Window], waited: Callable[[], None] = lambda: None) -> None:
        """Adds closed windows, oldest first. For each it waits up to PUT_WAIT_S for room, except under overload, and
        then calls `waited`."""
        if not windows:
            return
        with self._changed:
            if self._abandoned:
                self._shed("shutdown", list(windows))
                return
            for window in windows:
                device, now = window.device, self._clock()
                if not self._size and self._overload.empty(now):
                    self._degraded.clear()  # also of devices that are forgotten
                if crowded := not self._has_room(device):
                    crowded, now = not self._wait_for_room(device), self._clock()
                    waited()
                line = self._lines.setdefault(device, deque())
                line.append((now, window))
                self._size += 1
                if crowded:
                    self._keep_newest(device, line, "superseded")
            self._changed.notify_all()

    def take(self, most: int) -> list[Window]:
        """Waits for windows. Gives at most `most`, one of each device in turn; none only when closed and drained."""
        with self._changed:
            self._overload.resume(self._clock())
            while not self._size and not self._closed:
                self._changed.wait()
            now = self._clock()
            max_wait_s = self._overload.max_wait_s(now)
            batch: list[Window] = []
            while self._lines and len(batch) < most:
                device, line = self._lines.popitem(last=False)
                if now - line[0][0] > max_wait_s:
                    self._keep_newest(device, line, "stale")
                since, window = line.popleft()
                self._size -= 1
                if device in self._degraded:
                    if since <= self._degraded[device] + RECOVERY_S:
                        window = replace(window, degraded=True)
                    else:
                        del self._degraded[device]
                batch.append(window)
                if line:
                    self._lines[device] = line
            self._overload.taken(self._clock())
            self._changed.notify_all()
            return batch

    def forget(self, device: str) -> None:
        """The device is forgotten. If it returns, it is not degraded."""
        with self._changed:
            self._degraded.pop(device, None)

    def close(self) -> None:
        """Nothing more comes. `take` gives what is left, then empty batches."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Sheds all that waits, and all that is still put."""
        with self._changed:
            self._abandoned = True
            waiting = [window for line in self._lines.values() for _, window in line]
            self._size = 0
            self._lines.clear()
        if waiting:
            self._shed("shutdown", waiting)

    def _has_room(self, device: str) -> bool:
        line = self._lines.get(device)
        return self._closed or (
            self._size < self._bounds.max_windows and (line is None or len(line) < self._bounds.max_per_device)
        )

    def _wait_for_room(self, device: str) -> bool:
        self._changed.notify_all()
        self._changed.wait_for(
            lambda: self._has_room(device) or self._overload.is_overloaded(self._clock()), self._hold_s
        )
        return self._has_room(device)

    def _keep_newest(self, device: str, line: Line, reason: Literal["superseded", "stale"]) -> None:
        *dropped, newest = line
        if dropped:
            self._degraded[device] = now = self._clock()
            self._overload.shed(now, now - line[0][0], stale=reason == "stale")
            line.clear()
            line.append(newest)
            self._size -= len(dropped)
            self._shed(reason, [window for _, window in dropped])
