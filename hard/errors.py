"""The errors that people read: one sentence each, and the exit code with which a command ends on it."""

from __future__ import annotations


class HardError(Exception):
    """Base of all errors of HARD's own. The message is one sentence; a second may say what to do."""

    exit_code = 1


class UsageError(HardError):
    """Arguments that can't be used, or something that must be installed first."""

    exit_code = 2


class CommandError(HardError):
    """Any other failure that a sentence can explain, such as a broker that doesn't answer."""
