"""The gateway's clocks, and how far the monotonic one is ahead of that of an earlier process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id() -> str:
    """The id of this boot of the machine: each boot starts the monotonic clock again. Empty if it can't be read."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class GatewayClock:
    """`monotonic` in s, `wall` in Unix s, and the id of the boot. Tests pass their own."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    boot_id: Callable[[], str] = read_boot_id

    def mark(self) -> str:
        """This moment, for `shift_s` in a later process."""
        return json.dumps([self.monotonic(), self.wall(), self.boot_id()])

    def shift_s(self, mark: str, newest: float | None) -> float:
        """What to add to monotonic times of the process that made `mark`; the `newest` of them isn't moved past now."""
        then, wall, boot = json.loads(mark)
        now = self.monotonic()
        shift_s = 0.0 if boot and boot == self.boot_id() else (now - then) - (self.wall() - wall)
        return min(shift_s, now - (then if newest is None else newest))  # a machine without a clock starts in the past
