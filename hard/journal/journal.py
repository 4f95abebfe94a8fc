"""What must survive a crash, and when it is written. Messages are kept raw, and a restart sends them through the same
decoder and devices again: what comes out is what an undisturbed process would have made.

So that there is little to send again, each device that was heard is saved as it stands every SAVE_EVERY_S, with its
windows not yet settled, and the log before the oldest of these is pruned. Which windows are settled is in the log too.
A file that can't be used suspends the journal: the daemon goes on without it, and once a minute it begins afresh from
what the daemon knows; what it never came to know is set aside. Owned by the assemble thread, but for `mark_resolved`,
`flush` and `problem`. Knows no wire.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time
from typing import Literal

from hard.journal.store import FORMAT, Entry, Saved, Store, StoreError
from hard.motion.devices import Devices
from hard.records import DeviceState, Message, Window

log = logging.getLogger(__name__)
Durability = Literal["journal", "snapshot", "none"]
GROUP_S = 0.01  # a message waits at most so long for others that are written with it
SAVE_EVERY_S = 10.0
RETRY_S = 60.0
MOST_STARTS = 5  # so many starts in a row that didn't get through the log: something in it kills the process
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NOW = float("-inf")  # as the time since when a device waits to be saved


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier process left.

    `devices`, of which only the mountings are of use unless `whole`, with monotonic times that are `shift_s` behind;
    `windows` not settled; `messages` since, oldest first; ids of windows `settled` since.
    """

    devices: Sequence[DeviceState] = ()
    windows: Sequence[Window] = ()
    messages: Iterable[Message] = ()
    settled: set[str] = field(default_factory=set)
    shift_s: float = 0.0
    whole: bool = True


class Journal:
    """`kind` names what a state means (grid, units): of another kind only mountings are of use."""

    def __init__(self, store: Store, durability: Durability, kind: dict[str, object]) -> None:
        self._store, self._durability = store, durability
        self._wake: Callable[[], None] = lambda: None
        self._kind = json.dumps({"format": FORMAT, **kind}, sort_keys=True)
        self._entries: list[Entry] = []  # not written yet
        self._since: float | None = None  # monotonic time of the first thing that waits to be written
        self._settled: deque[Window] = deque()
        self._woken = False
        self._open: dict[str, dict[str, Window]] = {}  # windows not settled, by device and id
        self._group = 0  # the last one written
        # Devices heard and not saved since: the first group that they need, and since when they wait. In this order.
        self._heard: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._gone: dict[str, int] = {}  # forgotten devices, whose rows keep the log from bringing them back
        self._unread = True  # what an earlier process left isn't known yet
        self._retry_at: float | None = None  # when to begin the file afresh
        self.writing = False
        self.problem = ""  # what went wrong last, as a sentence

    def mark_resolved(self, window: Window) -> None:
        """The broker took the window's label, or it was given up: a restart needn't label it. From any thread."""
        if self._durability == "none":
            return
        self._settled.append(window)
        if self.writing and not self._woken:
            self._woken = True
            self._wake()

    def flush(self) -> None:
        """Does the slow part of writing; now and then, from a thread that may wait for the disk."""
        if self.writing:
            self._store.flush()

    def start(self, wake: Callable[[], None]) -> Left:
        """Opens the file; gives what an earlier process left. `wake` is called when there is something to `commit`
        that the owner doesn't know of."""
        self._wake = wake
        if self._durability == "none":
            return Left()
        try:
            return self._read()
        except StoreError as error:
            self._failed(error)
            return Left()

    def took(self, message: Message, device: str, windows: Iterable[Window]) -> None:
        """`message` closed `windows`. It is safe after the next `commit`."""
        self._since = self._since or monotonic()
        self.closed(device, windows)
        if self.writing:
            self._heard.setdefault(device, (self._group + 1, monotonic()))
            self._entries.append(
                Entry(
                    device, message.topic, message.payload, message.received_at, message.received_wall, message.mid,
                    message.qos, message.content_type,
                )
            )  # fmt: skip

    def closed(self, device: str, windows: Iterable[Window]) -> None:
        """These windows wait to be settled."""
        if self._durability != "none":
            for window in windows:
                self._open.setdefault(device, {})[window.window_id] = window

    def changed(self, device: str) -> None:
        """The device changed by itself, or is gone: no message tells it. Call right after a `commit`, then `commit`."""
        if self.writing:
            self._heard[device] = (self._group, NOW)
            self._heard.move_to_end(device, last=False)

    def wait_s(self) -> float | None:
        """How long nothing needs to be written; None when nothing waits for it."""
        if self._since is None and self._settled and self.writing:
            self._since = monotonic()
        return None if self._since is None else max(0.0, self._since + GROUP_S - monotonic())

    def due(self) -> bool:
        """Whether it is time for `commit`."""
        return self._since is not None and (not self.writing or monotonic() >= self._since + GROUP_S)

    def commit(self, devices: Devices) -> None:
        """Writes what waits, in one transaction. Never raises: without the file it is forgotten."""
        self._since, self._woken = None, False
        settled = self._drain()
        entries, self._entries = self._entries, []
        try:
            if self._durability == "journal" and self._retry_at is not None and monotonic() >= self._retry_at:
                self._resume(devices)
            elif self.writing:
                self._write(entries, settled, self._due(devices, most=max(8, 2 * len(entries))))
        except StoreError as error:
            self._suspend(error)

    def close(self, devices: Devices) -> bool:
        """Saves all there is for the next start, and says whether it could."""
        if self._durability == "none":
            return False
        self._drain()
        try:
            if self._retry_at is None:
                self._save_all(devices)
            else:
                self._resume(devices)
        except StoreError as error:
            self._suspend(error)
            return False
        self._store.flush()
        self._store.close()
        return True

    def _read(self) -> Left:
        self._store.open()
        about = self._store.about()
        starts = int(about.get("starts", 0)) + 1
        if starts > MOST_STARTS:
            raise StoreError(f"{self._store.path} was not read through in {MOST_STARTS} starts", broken=True)
        rows, self._group = self._store.devices(), self._store.last_group()
        alike = about.get("kind", self._kind) == self._kind
        whole = alike and about.get("whole") != "no"
        states = [row.state for row in rows if row.state]
        shift_s = _shift(about.get("clock"), states)
        settled = self._store.settled() if whole else set()
        at_once = monotonic() - SAVE_EVERY_S
        for row in rows if whole else ():
            waiting = {w.window_id: w for w in row.windows if w.window_id not in settled}
            if waiting:
                self._open[row.device] = waiting
                self._heard[row.device] = (row.id, at_once)
            if row.state is None:
                self._gone[row.device] = row.id
        if not alike:
            self.problem = "windows are cut or samples read in another way than before: only mountings are kept"
            log.warning("%s", self.problem)
        if not whole or shift_s or "clock" not in about:
            self._retry_at = 0.0  # rows of another clock or kind and those of now don't go together
        else:
            self.writing = self._durability == "journal"
        self._unread = whole
        try:
            self._store.describe(
                starts=str(starts if whole else 0), **{"whole": "no"} if self._durability == "snapshot" else {}
            )
        except StoreError as error:
            self._suspend(error, reading=True)
        messages = self._messages({row.device: row.id for row in rows}, shift_s) if whole else ()
        windows = [window for waiting in self._open.values() for window in waiting.values()]
        return Left(states, windows, messages, settled, shift_s, whole)

    def _messages(self, saved: dict[str, int], shift_s: float) -> Iterator[Message]:
        """What the devices haven't seen. Nothing may be written before its end."""
        at_once = monotonic() - SAVE_EVERY_S  # or a process that is killed again and again would never prune
        try:
            for group, e in self._store.messages():
                if group > saved.get(e.device, 0):
                    self._heard.setdefault(e.device, (group, at_once))
                    at = e.received_at + shift_s
                    yield Message(e.topic, e.payload, at, e.received_wall, e.mid, e.qos, content_type=e.content_type)
            self._heard = OrderedDict(sorted(self._heard.items(), key=lambda item: item[1][0]))
            self._unread = False
            self._store.describe(starts="0")
        except StoreError as error:
            self._failed(error)

    def _drain(self) -> list[str]:
        """The windows settled since; they are no longer open."""
        ids = []
        while self._settled:
            window = self._settled.popleft()
            ids.append(window.window_id)
            waiting = self._open.get(window.device, {})
            waiting.pop(window.window_id, None)
            if not waiting:
                self._open.pop(window.device, None)
        return ids

    def _due(self, devices: Devices, most: int) -> list[Saved]:
        """Devices that have waited for long enough to be saved; at most so many, so that a commit stays short."""
        names: list[str] = []
        now = monotonic()
        while self._heard:
            name, (_, since) = next(iter(self._heard.items()))
            if now - since < SAVE_EVERY_S or (len(names) >= most and since != NOW):
                break
            del self._heard[name]
            names.append(name)
        return self._saved(names, devices)

    def _saved(self, names: Sequence[str], devices: Devices) -> list[Saved]:
        group, saved = self._group + 1, []
        states = {state.device: state for state in devices.states(names)}
        for name in names:
            windows = list(self._open.get(name, {}).values())
            saved.append(Saved(name, group, states.get(name), windows))
            if windows:
                self._heard[name] = (group, monotonic())  # until they are settled
            self._gone.pop(name, None)
            if name not in states:
                self._gone[name] = group
        return saved

    def _write(self, entries: Sequence[Entry], settled: Sequence[str], saved: Sequence[Saved]) -> None:
        if not (entries or settled or saved):
            return
        self._group += 1
        oldest = next(iter(self._heard.values()))[0] if self._heard else self._group + 1
        gone = []
        for name, group in self._gone.items():
            if group >= oldest:
                break
            gone.append(name)
        self._store.write(self._group, messages=entries, settled=settled, saved=saved, gone=gone, oldest=oldest)
        for name in gone:
            del self._gone[name]

    def _save_all(self, devices: Devices) -> None:
        """Begins the file afresh from what the daemon knows."""
        self._heard.clear()
        self._gone.clear()
        names = dict.fromkeys([*(state.device for state in devices.states()), *self._open])
        with self._store.together():
            self._store.clear()
            self._write([], [], self._saved(list(names), devices))
            clock = json.dumps([monotonic(), time(), _boot()])
            self._store.describe(kind=self._kind, clock=clock, whole="yes", starts="0")

    def _resume(self, devices: Devices) -> None:
        suspended, before = bool(self._retry_at), self.problem
        try:
            if not self._store.is_open:
                self._store.open()
            if self._unread and self._store.last_group():
                raise StoreError(f"{self._store.path} was not read at the start", broken=True)
        except StoreError as error:
            if not error.broken or not self._set_aside(error):
                raise
            self._store.open()
        self._save_all(devices)
        self._unread, self._retry_at = False, None
        self.writing = self._durability == "journal"
        if suspended:
            self.problem = self.problem if self.problem != before else ""
            log.warning("%s is written again", self._store.path)

    def _failed(self, error: StoreError) -> None:
        if not error.broken or not self._set_aside(error):
            self._suspend(error)

    def _suspend(self, error: StoreError, *, reading: bool = False) -> None:
        if str(error) != self.problem:
            log.error("nothing is journaled, a crash would lose samples: %s", error)
        self.problem, self.writing, self._retry_at = str(error), False, monotonic() + RETRY_S
        self._entries.clear()
        if not reading:
            self._store.close()

    def _set_aside(self, error: StoreError) -> bool:
        """What is known by now goes into a new file with the next `commit`."""
        try:
            aside = self._store.set_aside()
        except StoreError:
            return False
        self._unread, self.writing, self._retry_at = False, False, 0.0
        self.problem = f"{error}; it is kept as {aside}, and a new one begun"
        log.error("%s", self.problem)
        return True


def _boot() -> str:
    """Tells one boot of the machine from another: the monotonic clock begins anew with each."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _shift(clock: str | None, states: Sequence[DeviceState]) -> float:
    """By how much the monotonic clock is ahead of the one that an earlier process noted with the wall clock."""
    if clock is None:
        return 0.0
    then, wall, boot = json.loads(clock)
    shift_s = 0.0 if boot and boot == _boot() else (monotonic() - then) - (time() - wall)
    newest = max((state.last_received for state in states), default=then)
    return min(shift_s, monotonic() - newest)  # a machine without a clock wakes in the past
