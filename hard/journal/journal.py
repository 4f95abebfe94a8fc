"""Keeps what must survive a crash: messages, unresolved windows and devices. A restart gets a `RecoveredState` of them.

Messages are kept as they came, and a restart sends them through the same decoder and devices again: what comes out is
what an undisturbed process would have made. So that there is little to send again, each device that was heard is saved
as it stands every SAVE_EVERY_S with its unresolved windows, and the log that no device needs is pruned. The log also
says which windows are resolved (published or given up) and, after each, the memory of its device's state.

A file that can't be used suspends the journal: the daemon goes on without it, and RETRY_S later all that the daemon
knows is written into it. A file that no process has read is first renamed and kept. The assemble thread owns the
journal, except for `mark_resolved`, `mark_silent`, `flush`, `writing` and `problem`, which any thread may call.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from hard.journal.file_state import FileState, Phase
from hard.journal.gateway_clock import GatewayClock
from hard.journal.save_schedule import SaveSchedule
from hard.journal.store import MessageEntry, ResolvedEntry, SavedDevice, Store, StoreError
from hard.motion.devices import Devices
from hard.records import DeviceState, Message, StateMemory, Window

log = logging.getLogger(__name__)
Durability = Literal["journal", "snapshot", "none"]
GROUP_S = 0.01  # how long a message waits for others that are written with it
SAVE_EVERY_S = 10.0
RETRY_S = 60.0
MAX_FAILED_STARTS = 5  # after so many in a row that did not read the log to its end, the file is set aside
GATEWAY_CLOCK = GatewayClock()


@dataclass(frozen=True, slots=True)
class RecoveredState:
    """What an earlier process left.

    `devices` with monotonic times that are `shift_s` behind; their unresolved `windows`; `messages` that the devices
    haven't seen, oldest first; the ids of windows `resolved` since the devices were saved; the `memories` of the states
    of devices after their last resolved window. If it is not `whole`, only what was learnt of the devices is of use:
    their mountings and, with `clocks`, their clocks.
    """

    devices: Sequence[DeviceState] = ()
    windows: Sequence[Window] = ()
    messages: Iterable[Message] = ()
    resolved: set[str] = field(default_factory=set)
    memories: Mapping[str, StateMemory] = field(default_factory=dict)
    shift_s: float = 0.0
    whole: bool = True
    clocks: bool = True


class Compatibility(NamedTuple):
    """What the file's content depends on: the grid of `windows`, and how samples are read from `payloads`."""

    windows: Mapping[str, object]
    payloads: Mapping[str, object]


class Journal:
    """If the file was written under another `compatibility`, mountings are recovered from it, under the same payloads
    also clocks."""

    def __init__(
        self, store: Store, durability: Durability, compatibility: Compatibility, *,
        clock: GatewayClock = GATEWAY_CLOCK, save_every_s: float = SAVE_EVERY_S,
    ) -> None:  # fmt: skip
        self._store, self._durability, self._clock = store, durability, clock
        self._compatibility = {name: json.dumps(part, sort_keys=True) for name, part in compatibility._asdict().items()}
        self._state = FileState.initial(durability)
        self._schedule = SaveSchedule(save_every_s)
        self._group = 0  # the last one written
        self._entries: list[MessageEntry] = []  # to be written
        self._resolved: deque[ResolvedEntry] = deque()  # to be written
        self._waiting_since: float | None = None  # monotonic time of the first thing to be written
        self._wake: Callable[[], None] = lambda: None
        self._woken = False

    @property
    def writing(self) -> bool:
        """Whether what is recorded gets into the file."""
        return self._durability == "journal" and self._state.phase is Phase.READY

    @property
    def problem(self) -> str:
        """What is wrong, or what was given up at the start, as a sentence."""
        return self._state.problem

    def mark_resolved(self, window: Window, memory: StateMemory | None = None) -> None:
        """The window's label was published or given up: a restart needn't label it. Its device's state goes on from
        `memory`, where it is given. From any thread."""
        self._mark(ResolvedEntry(window.device, window.window_id, memory))

    def mark_silent(self, device: str, memory: StateMemory) -> None:
        """The event of the device's silence was published: its state goes on from `memory`. From any thread."""
        self._mark(ResolvedEntry(device, None, memory))

    def has_unresolved(self, device: str) -> bool:
        """Whether a window of the device is unresolved; always false without a file."""
        return self._schedule.has_windows(device)

    def _mark(self, entry: ResolvedEntry) -> None:
        if self._state.phase is Phase.OFF:
            return
        self._resolved.append(entry)
        if self.writing and not self._woken:
            self._woken = True
            self._wake()

    def flush(self) -> None:
        """Does the slow part of writing. Call it now and then from a thread that may wait for the disk."""
        if self.writing:
            self._store.flush()

    def start(self, wake: Callable[[], None]) -> RecoveredState:
        """Opens the file and gives what an earlier process left. Read `messages` to the end before the first `commit`.
        `wake` is called from any thread when windows were resolved and a `commit` is needed for them."""
        self._wake = wake
        if self._state.phase is Phase.OFF:
            return RecoveredState()
        try:
            return self._read()
        except StoreError as error:
            self._set_aside_or_suspend(error)
            return RecoveredState()

    def record(self, message: Message, device: str, windows: Iterable[Window]) -> None:
        """`message` of `device` closed `windows`. It is safe after the next `commit`."""
        now = self._clock.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        self.add_unresolved(windows)
        if self.writing:
            self._schedule.heard(device, self._group + 1, now)
            entry = MessageEntry(
                device, message.topic, message.payload, message.received_at, message.received_wall, message.mid,
                message.qos, message.content_type,
            )  # fmt: skip
            self._entries.append(entry)

    def add_unresolved(self, windows: Iterable[Window]) -> None:
        """These windows are kept until `mark_resolved`."""
        if self._state.phase is not Phase.OFF:
            self._schedule.add_windows(windows)

    def wait_s(self) -> float | None:
        """How long a `commit` can wait; None if there is nothing to write."""
        if self._waiting_since is None and self._resolved and self.writing:
            self._waiting_since = self._clock.monotonic()
        if self._waiting_since is None:
            return None
        return max(0.0, self._waiting_since + GROUP_S - self._clock.monotonic())

    def is_due(self) -> bool:
        """Whether it is time for a `commit`: without a file at once, because messages are
        acknowledged only after a `commit`."""
        return self._waiting_since is not None and (not self.writing or self.wait_s() == 0.0)

    def commit(self, devices: Devices, changed: Iterable[str] = ()) -> None:
        """Writes in one transaction what was recorded and resolved, the devices that are due, and those `changed`
        without a message (also by being forgotten). Never raises: without a usable file all of it is dropped."""
        self._waiting_since, self._woken = None, False
        resolved = self._take_resolved(devices)
        entries, self._entries = self._entries, []
        try:
            if self.writing:
                self._write(entries, resolved, changed, devices)
            elif self._durability == "journal" and self._state.must_be_rewritten(self._clock.monotonic()):
                self._rewrite(devices)
        except StoreError as error:
            self._suspend(error)

    def close(self, devices: Devices) -> bool:
        """Writes all that the daemon knows, for the next start, and closes the file. Gives whether this succeeded."""
        if self._state.phase is Phase.OFF:
            return False
        self._take_resolved(devices)
        try:
            self._rewrite(devices)
        except StoreError as error:
            self._suspend(error)
            return False
        self._store.flush()
        self._store.close()
        return True

    def _read(self) -> RecoveredState:
        self._store.open()
        about = self._store.about()
        starts = int(about.get("starts", 0)) + 1
        if starts > MAX_FAILED_STARTS:
            raise StoreError(f"{self._store.path} was not read through in {MAX_FAILED_STARTS} starts", unreadable=True)
        rows, self._group = self._store.devices(), self._store.last_group()
        states = [row.state for row in rows if row.state]
        newest = max((state.last_received for state in states), default=None)
        shift_s = self._clock.shift_s(about["clock"], newest) if "clock" in about else 0.0
        changed = [name for name, part in self._compatibility.items() if about.get(name, part) != part]
        whole = not changed and about.get("whole") != "no"
        entries = self._store.resolved() if whole else []
        resolved = {entry.window_id for _, entry in entries if entry.window_id}
        problem = ""
        if changed:
            problem = f"the settings of {' and '.join(changed)} changed: only what was learnt of devices is kept"
            log.warning("%s", problem)
        if whole:
            now = self._clock.monotonic()
            self._schedule.recover(rows, resolved, now)
            saved = {row.device: row.group for row in rows}
            for group, entry in entries:
                if entry.memory and group > saved.get(entry.device, 0):
                    self._schedule.remember(entry.device, entry.memory)
                    self._schedule.heard_before(entry.device, group, now)
        else:
            self._state = self._state.read(outdated=True, problem=problem)
        try:
            snapshot = {"whole": "no"} if self._durability == "snapshot" else {}
            self._store.describe(starts=str(starts if whole else 0), **snapshot)
        except StoreError as error:
            self._suspend(error, close=False)
        # Rows with times of another boot don't go together with those of now; a new file has no clock.
        outdated = bool(shift_s) or "clock" not in about
        messages = self._messages(rows, shift_s, outdated) if whole else ()
        windows, memories = self._schedule.unresolved(), self._schedule.memories()
        clocks = "payloads" not in changed
        return RecoveredState(states, windows, messages, resolved, memories, shift_s, whole, clocks)

    def _messages(self, rows: Iterable[SavedDevice], shift_s: float, outdated: bool) -> Iterator[Message]:
        saved = {row.device: row.group for row in rows}
        now = self._clock.monotonic()
        try:
            for group, e in self._store.messages():
                if group > saved.get(e.device, 0):
                    self._schedule.heard_before(e.device, group, now)
                    at = e.received_at + shift_s
                    yield Message(e.topic, e.payload, at, e.received_wall, e.mid, e.qos, content_type=e.content_type)
            self._schedule.sort()
            self._state = self._state.read(outdated=outdated)
            self._store.describe(starts="0")
        except StoreError as error:
            self._set_aside_or_suspend(error)

    def _take_resolved(self, devices: Devices) -> list[ResolvedEntry]:
        """What was resolved since the last `commit`. A device that is forgotten has no memory."""
        entries = []
        while self._resolved:
            entry = self._resolved.popleft()
            if entry.memory and entry.device not in devices:
                entry = ResolvedEntry(entry.device, entry.window_id, None)
            if entry.window_id:
                self._schedule.remove_window(entry.device, entry.window_id)
            if entry.memory:
                self._schedule.remember(entry.device, entry.memory)
                if self.writing:
                    self._schedule.heard(entry.device, self._group + 1, self._clock.monotonic())
            entries.append(entry)
        return entries

    def _write(
        self, entries: Sequence[MessageEntry], resolved: Sequence[ResolvedEntry], changed: Iterable[str],
        devices: Devices,
    ) -> None:  # fmt: skip
        """Adds a group. Few devices are saved with it, so that a commit stays short."""
        names = [*changed, *self._schedule.due(self._clock.monotonic(), most=max(8, 2 * len(entries)))]
        if entries or resolved or names:
            self._write_group(entries, resolved, names, devices)

    def _write_group(
        self, entries: Sequence[MessageEntry], resolved: Sequence[ResolvedEntry], names: Sequence[str],
        devices: Devices,
    ) -> None:  # fmt: skip
        self._group += 1
        saved = self._schedule.save(names, devices.states(names), self._group, self._clock.monotonic())
        oldest = self._schedule.oldest_needed(self._group)
        self._store.write(
            self._group, messages=entries, resolved=resolved, saved=saved,
            forgotten=self._schedule.take_outlived(oldest), oldest=oldest,
        )  # fmt: skip

    def _rewrite(self, devices: Devices) -> None:
        """Writes all that the daemon knows in place of what the file holds, which is set aside if it is unread."""
        was = self._state
        try:
            if not self._store.is_open:
                self._store.open()
            if was.unread and self._store.last_group():
                raise StoreError(f"{self._store.path} was not read at the start", unreadable=True)
        except StoreError as error:
            if not error.unreadable or not self._set_aside(error):
                raise
            self._store.open()
        windows_of = self._schedule.clear()
        names = list(dict.fromkeys([*(state.device for state in devices.states()), *windows_of]))
        with self._store.transaction():
            self._store.clear()
            if names:
                self._write_group([], [], names, devices)
            self._store.describe(**self._compatibility, clock=self._clock.mark(), whole="yes", starts="0")
        self._state = self._state.written()
        if was.phase is Phase.SUSPENDED:
            log.warning("%s is written again", self._store.path)

    def _set_aside_or_suspend(self, error: StoreError) -> None:
        if not error.unreadable or not self._set_aside(error):
            self._suspend(error)

    def _suspend(self, error: StoreError, *, close: bool = True) -> None:
        if str(error) != self.problem:
            log.error("nothing is journaled, a crash would lose samples: %s", error)
        self._state = self._state.suspended(str(error), self._clock.monotonic() + RETRY_S)
        self._entries.clear()
        if close:
            self._store.close()

    def _set_aside(self, error: StoreError) -> bool:
        """Renames the file, and gives whether this succeeded. The next `commit` writes what is known into a new one."""
        try:
            aside = self._store.set_aside()
        except StoreError:
            return False
        self._state = self._state.set_aside(f"{error}; it is kept as {aside}, and a new one begun")
        log.error("%s", self.problem)
        return True
