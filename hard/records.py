"""The frozen records that cross rooms. Knows nothing about who makes or reads them.

Three clocks, three names: a sample's `time` is the device's own (Unix s), `received_at` is the gateway's monotonic
clock, `received_wall` the gateway's wall clock (Unix s).
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import add, attrgetter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message as it came, time-stamped. `epoch` counts connections: an acknowledgement serves its own only;
    `again` is the broker's mark that it may have sent it before."""

    topic: str
    payload: bytes
    received_at: float
    received_wall: float
    mid: int = 0
    qos: int = 0
    epoch: int = 0
    content_type: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Samples:
    """Accelerations `xyz` (N, 3) in m/s² of one device at `time` (N,) in device Unix s.

    `time` is None when the device sends none: then `rate_hz` spaces the samples, the last one at the time of arrival.
    """

    device: str
    time: Float64Array | None
    xyz: Float64Array
    received_at: float
    received_wall: float
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One closed window: `xyz` (T, 3) m/s² on the bundle's grid over [start, end), device clock.

    `coverage` is the share of grid points that lie between real neighbours, `up` (3,) the unit vector that points up
    while the wearer stands, `forward` (3,) the one that points where the wearer faces, `calibrated` whether these were
    learnt from this device. `swing` is how far the wearer's walking swings it, in m/s²; before, the usual one or 0.
    """

    device: str
    start: float
    end: float
    xyz: Float32Array
    coverage: float
    up: Float32Array
    forward: Float32Array
    calibrated: bool
    clock_offset_s: float
    received_at: float
    received_wall: float
    degraded: bool = False
    replayed: bool = False
    gait_amplitude_ms2: float = 0.0

    @property
    def window_id(self) -> str:
        return f"{self.device}:{round(self.end * 1000)}"


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A window's `probabilities` (K,) over the labels of the bundle, the most probable `label` and its `confidence`."""

    window: Window
    label: str
    confidence: float
    probabilities: Float64Array


@dataclass(frozen=True, slots=True)
class CounterDelta:
    """What became of samples and windows in one step: increments, added up by the accounting.

    Balance: decoded + restored = accepted + late + duplicate + out_of_range + Δheld; accepted = used + unused
    + Δbuffered; closed windows = those handed out + low_coverage.
    """

    decoded: int = 0
    accepted: int = 0
    late: int = 0
    duplicate: int = 0
    out_of_range: int = 0
    held: int = 0
    used: int = 0
    unused: int = 0
    missing: int = 0
    runs: int = 0
    jumps: int = 0
    windows_closed: int = 0
    windows_low_coverage: int = 0
    restored: int = 0

    def __add__(self, other: CounterDelta) -> CounterDelta:
        return CounterDelta(*map(add, _counts(self), _counts(other)))


@dataclass(frozen=True, slots=True, eq=False)
class DeviceState:
    """One device as it stands between two messages: with it a later process goes on as if it had been there.

    `clock` and `mounting` are those rooms' own numbers; the run's `first` time and `next` open window give the grid's
    phase; `time` (N,), `xyz` (N, 3) and `used` (N,) are the buffer, `held_…` what waits to be overtaken;
    a `newcomer` never closed a window.
    """

    device: str
    last_received: float
    clock: tuple[float | None, ...]
    mounting: Float64Array
    first: float | None
    next: int
    time: Float64Array
    xyz: Float64Array
    used: NDArray[np.bool_]
    held_time: Float64Array
    held_xyz: Float64Array
    newcomer: bool


_counts = attrgetter(*CounterDelta.__slots__)


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something in a device's life. It ends `forgotten`, after long silence or to make room for another, or, where it
    made room before it ever fell silent or closed a window, `dismissed`: nobody was told that it lived."""

    device: str
    kind: Literal["new", "silent", "back", "forgotten", "dismissed", "remounted"]
    at: float
