"""What became of each closed window: counted in the accounting, and marked in the journal if no restart need label it.

Thread-safe, as the accounting and `Journal.mark_resolved` are.
"""

from __future__ import annotations

from collections.abc import Sequence

from hard.journal.journal import Journal
from hard.monitoring.accounting import Abandoned, Accounting
from hard.records import StateMemory, Window


class WindowOutcomes:
    """Every window that is handed on comes to one of these methods, once."""

    def __init__(self, accounting: Accounting, journal: Journal) -> None:
        self._accounting, self._journal = accounting, journal
        self._out_of_time = False

    def acknowledged(self, window: Window, memory: StateMemory | None, taken: bool) -> None:
        """The label has left the outbox: `taken` by the broker, or dropped. The device's state has `memory` since."""
        if taken:
            self._accounting.published()
            self._journal.mark_resolved(window, memory)
        else:
            self.abandoned("shutdown" if self._out_of_time else "outbox_full", [window])

    def failed(self, window: Window) -> None:
        """The classifier can't label the window."""
        self.abandoned("failed", [window])

    def abandoned(self, reason: Abandoned, windows: Sequence[Window]) -> None:
        """The windows won't be published. The journal keeps those of a shutdown for the next start."""
        self._accounting.abandoned(reason, len(windows))
        for window in windows if reason != "shutdown" else ():
            self._journal.mark_resolved(window)

    def stop(self) -> None:
        """The time to stop is up: a label that the broker hasn't taken is kept for the next start."""
        self._out_of_time = True
