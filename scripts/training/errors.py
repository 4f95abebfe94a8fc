"""Why a fine-tune is refused or stopped."""

from __future__ import annotations

from hard.errors import HardError


class RefusedError(HardError):
    """A fine-tune that can't be begun as asked; the message is one sentence."""

    exit_code = 2


class StoppedError(HardError):
    """A fine-tune stopped because its result would be useless; the message is one sentence."""
