"""The states of the journal's file, and each change from one to another. Pure: does no input or output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Phase(Enum):
    """What the journal does with its file."""

    OFF = "no file is used"
    READING = "what an earlier process left is being read; nothing is written until all of it is read"
    OUTDATED = "what the file holds no longer counts: the next commit writes all that the daemon knows"
    READY = "the file holds what the daemon knew at the last commit; each commit adds to it"
    SUSPENDED = "the file can't be used: a commit after `retry_at` writes all that the daemon knows"


@dataclass(frozen=True, slots=True)
class FileState:
    """One state. `problem` is a sentence: why the file is suspended, or what was given up when it was begun anew.

    While the file is `unread` it may hold what no process has read: it is set aside and never overwritten.
    """

    phase: Phase
    problem: str = ""
    retry_at: float = 0.0  # monotonic
    unread: bool = False

    @classmethod
    def initial(cls, durability: str) -> FileState:
        """Before the file is opened."""
        return cls(Phase.OFF) if durability == "none" else cls(Phase.READING, unread=True)

    def read(self, *, outdated: bool, problem: str = "") -> FileState:
        """All that is of use was read. It stays suspended if something could not be written meanwhile."""
        if self.phase is Phase.SUSPENDED:
            return replace(self, unread=False)
        return FileState(Phase.OUTDATED if outdated else Phase.READY, problem)

    def suspended(self, problem: str, retry_at: float) -> FileState:
        """The file could not be read or written."""
        return FileState(Phase.SUSPENDED, problem, retry_at, self.unread)

    def set_aside(self, problem: str) -> FileState:
        """The file was renamed: the next one is new."""
        return FileState(Phase.OUTDATED, problem)

    def written(self) -> FileState:
        """All that the daemon knows is in the file. What was given up before stays a problem."""
        return FileState(Phase.READY, "" if self.phase is Phase.SUSPENDED else self.problem)

    def must_be_rewritten(self, now: float) -> bool:
        """Whether a commit at monotonic time `now` writes all that the daemon knows."""
        return self.phase is Phase.OUTDATED or (self.phase is Phase.SUSPENDED and now >= self.retry_at)
