"""Which devices to save when, with what, and how much of the log is still needed. Pure: time is passed in.

A group is what one transaction writes; groups count from 1. The row of a device that was saved with group 7 holds what
the device knew then: of its messages, only those of group 8 and later are sent through it again. So the log is needed
from the first group on of which some device has something that its row doesn't hold.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from hard.journal.store import SavedDevice
from hard.records import DeviceState, StateMemory, Window


class SaveSchedule:
    """Devices wait `save_every_s` from their first message after they were saved until they are saved again."""

    def __init__(self, save_every_s: float) -> None:
        self._save_every_s = save_every_s
        self._unresolved: dict[str, dict[str, Window]] = {}  # by device and id
        self._memories: dict[str, StateMemory] = {}  # of the devices' states
        self._waiting: OrderedDict[str, tuple[int, float]] = OrderedDict()  # first group needed, since when; in order
        self._forgotten: dict[str, int] = {}  # devices whose row, saved with that group, says that they are forgotten

    def add_windows(self, windows: Iterable[Window]) -> None:
        """These windows are saved with their devices until they are resolved."""
        for window in windows:
            self._unresolved.setdefault(window.device, {})[window.window_id] = window

    def remove_window(self, device: str, window_id: str) -> None:
        """The window is resolved."""
        windows = self._unresolved.get(device, {})
        windows.pop(window_id, None)
        if not windows:
            self._unresolved.pop(device, None)

    def has_windows(self, device: str) -> bool:
        """Whether the device has an unresolved window."""
        return device in self._unresolved

    def remember(self, device: str, memory: StateMemory) -> None:
        """The memory is saved with its device until it is forgotten."""
        self._memories[device] = memory

    def memories(self) -> dict[str, StateMemory]:
        return dict(self._memories)

    def unresolved(self) -> list[Window]:
        return [window for windows in self._unresolved.values() for window in windows.values()]

    def heard(self, device: str, group: int, now: float) -> None:
        """A message of `device` is part of `group`."""
        self._waiting.setdefault(device, (group, now))

    def recover(self, rows: Iterable[SavedDevice], resolved: set[str], now: float) -> None:
        """Goes on from the rows that an earlier process left. Their windows are saved again at once."""
        for row in sorted(rows, key=lambda row: row.group):
            windows = [window for window in row.windows if window.window_id not in resolved]
            if windows:
                self.add_windows(windows)
                self.heard_before(row.device, row.group, now)
            if row.memory:
                self.remember(row.device, row.memory)
            if row.state is None:
                self._forgotten[row.device] = row.group

    def heard_before(self, device: str, group: int, now: float) -> None:
        """The log has something of an earlier process in `group` that the device's row hasn't. The device is then saved
        at once: otherwise a process that is killed again and again would never prune. Call `sort` after the last
        one."""
        first, _ = self._waiting.get(device, (group, now))
        self._waiting[device] = (min(group, first), now - self._save_every_s)

    def sort(self) -> None:
        """Puts the devices that wait in the order of their groups."""
        self._waiting = OrderedDict(sorted(self._waiting.items(), key=lambda item: item[1][0]))

    def due(self, now: float, most: int) -> list[str]:
        """Takes the devices that have waited for long enough, at most `most`."""
        names: list[str] = []
        while self._waiting and len(names) < most:
            name, (_, since) = next(iter(self._waiting.items()))
            if now - since < self._save_every_s:
                break
            del self._waiting[name]
            names.append(name)
        return names

    def save(
        self, names: Iterable[str], states: Iterable[DeviceState], group: int, now: float
    ) -> Sequence[SavedDevice]:
        """The rows of the devices `names`, to be written with `group`. One without a state is forgotten."""
        by_name, rows = {state.device: state for state in states}, []
        for name in dict.fromkeys(names):
            windows = list(self._unresolved.get(name, {}).values())
            if name not in by_name:
                self._memories.pop(name, None)
            rows.append(SavedDevice(name, group, by_name.get(name), windows, self._memories.get(name)))
            self._waiting.pop(name, None)
            self._forgotten.pop(name, None)
            if windows:
                self._waiting[name] = (group, now)  # until they are resolved
            if name not in by_name:
                self._forgotten[name] = group
        return rows

    def oldest_needed(self, group: int) -> int:
        """The oldest group of the log that is needed, `group` being the newest."""
        return next(iter(self._waiting.values()))[0] if self._waiting else group + 1

    def take_outlived(self, oldest: int) -> list[str]:
        """Takes the forgotten devices of which a log from group `oldest` on has no message: their rows can go."""
        names: list[str] = []
        while self._forgotten:
            name, group = next(iter(self._forgotten.items()))
            if group >= oldest:
                break
            del self._forgotten[name]
            names.append(name)
        return names

    def clear(self) -> list[str]:
        """The file begins anew. Gives the devices that have unresolved windows."""
        self._waiting.clear()
        self._forgotten.clear()
        return list(self._unresolved)
