"""What every format gives for a payload: samples in the sender's own units. And the error where it can't."""

from __future__ import annotations

from typing import NamedTuple

from hard.errors import HardError
from hard.records import Float64Array


class PayloadError(HardError):
    """A message that can't be used; `reason` is one of few words, for a counter. `device` is filled in by the decoder
    where the topic names one. `setting` would mend it, in the form of `--set`."""

    def __init__(self, reason: str, detail: str, setting: str | None = None) -> None:
        super().__init__(detail)
        self.reason, self.setting = reason, setting
        self.device: str | None = None


class RawSamples(NamedTuple):
    """Accelerations `xyz` (N, 3) and when they were taken, units and limits not yet applied; NaN stands for what is
    absent or no number.

    Either `time` (N,) holds the time of each sample, or `t0` that of the first and `rate_hz` spaces the others, or both
    are None and the last sample is as old as the message. `device`, `time_unit` and `unit` are None where neither
    format nor payload says them; a stated `time_unit` also says that times count from 1970, unless they are an
    `uptime`: since the device's boot or start.
    """

    xyz: Float64Array
    time: Float64Array | None = None
    t0: float | None = None
    rate_hz: float | None = None
    device: str | None = None
    time_unit: str | None = None
    unit: str | None = None
    uptime: bool = False
