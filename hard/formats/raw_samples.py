"""What every format gives for a payload: samples in the sender's own units. And the error where it can't."""

from __future__ import annotations

from typing import NamedTuple

from hard.errors import HardError
from hard.records import Float64Array


class PayloadError(HardError):
    """A message that can't be used; `reason` is one of few words, for a counter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RawSamples(NamedTuple):
    """Accelerations `xyz` (N, 3) and when they were taken, units and limits not yet applied.

    Either `time` (N,) holds the time of each sample, or `t0` that of the first and `rate_hz` spaces the others, or both
    are None and the last sample is as old as the message.
    """

    xyz: Float64Array
    time: Float64Array | None = None
    t0: float | None = None
    rate_hz: float | None = None
