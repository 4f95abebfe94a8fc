"""The frozen records that cross packages. Imports none of them.

Three clocks have three names: `time` of a sample is the device's own clock (Unix s), `received_at` is the gateway's
monotonic clock, `received_wall` the gateway's wall clock (Unix s).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import add, attrgetter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
Float32Array = NDArray[np.float32]
NO_SAMPLES: Float32Array = np.empty((0, 3), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message as it came, time-stamped. `epoch` counts connections: a message can be acknowledged only on the
    connection that it came on. `dup` is MQTT's mark that the broker may have sent the message before, `retained` that
    the broker kept it since an earlier time."""

    topic: str
    payload: bytes
    received_at: float
    received_wall: float
    mid: int = 0
    qos: int = 0
    epoch: int = 0
    content_type: str | None = None
    dup: bool = False
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Samples:
    """Accelerations `xyz` (N, 3) in m/s² of one device at `time` (N,) in device Unix s.

    `time` is None when the device sends none: then the last sample gets the time of arrival, and `rate_hz` spaces the
    others. Where it is an `uptime` it counts from the device's boot or start instead. `place` is where the device is
    worn, one of units.PLACES, or None where nothing is stated. `invalid` are the samples of the message that were left
    out, by reason; `ms2_per_unit` is what one of the sender's units was taken for.
    """

    device: str
    time: Float64Array | None
    xyz: Float64Array
    received_at: float
    received_wall: float
    rate_hz: float | None = None
    place: str | None = None
    uptime: bool = False
    invalid: tuple[tuple[str, int], ...] = ()
    ms2_per_unit: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One closed window: `xyz` (T, 3) m/s² on the bundle's grid over [start, end), device clock.

    `coverage` is the share of grid points with a sample close enough on both sides. `up` (3,) is the unit vector that
    points up while the wearer stands, `forward` (3,) the one that points where the wearer faces; `calibrated` says that
    both were learnt from this device. `before` (T, 3) are the samples of the run before the window, (0, 3) where it has
    too few. `place` is where the device was said to be worn, as in its last `Samples`. `problems` are the kinds of its
    device's problems when it closed; it is not `worn` where the device lay as still as on a table.
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
    place: str | None = None
    problems: tuple[str, ...] = ()
    worn: bool = True
    before: Float32Array = field(default_factory=lambda: NO_SAMPLES)

    @property
    def window_id(self) -> str:
        return f"{self.device}:{round(self.end * 1000)}"


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A window's `probabilities` (K,) over the labels of the bundle, the most probable `label` and its `confidence`.

    `familiar` is the share of known windows that resemble what the model learnt from less than this one; None by a
    bundle that can't say it.
    """

    window: Window
    label: str
    confidence: float
    probabilities: Float64Array
    familiar: float | None = None


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


@dataclass(frozen=True, slots=True)
class LateStreak:
    """Late messages in a row: device time and gateway monotonic time of the first, device time of the newest."""

    device_start: float
    gateway_start: float
    newest: float


@dataclass(frozen=True, slots=True)
class UptimeState:
    """How a device's uptimes become Unix times: the `newest` uptime, the `offset` that is applied to it (gateway
    monotonic time minus uptime), the `smallest` one since the count began, and by how much the gateway's wall clock is
    ahead of its monotonic one."""

    newest: float
    offset: float
    smallest: float
    wall_ahead: float


@dataclass(frozen=True, slots=True)
class ClockState:
    """A device's clock between two messages. `last_stamp` is the last time that was given to a sample without one,
    `last_stamp_wall` the gateway's wall time of its message, `step_ratio` the true spacing of samples without time over
    the nominal one."""

    offset_s: float | None
    last_stamp: float | None
    last_stamp_wall: float
    step_ratio: float
    late_streak: LateStreak | None
    uptime: UptimeState | None = None


@dataclass(frozen=True, slots=True)
class MountingState:
    """What a device's walking windows have shown. `directions` and `inconsistent_directions` (6,) are running means of
    a vector that points up (3,) and one that points back (3,); `up` and `forward` (3,) are the present mounting.

    The counts are windows: walking ones in each of the two means, and all since the first inconsistent one.
    """

    directions: tuple[float, ...]
    inconsistent_directions: tuple[float, ...]
    up: tuple[float, ...]
    forward: tuple[float, ...]
    windows: int
    inconsistent_windows: int
    windows_since_inconsistent: int


@dataclass(frozen=True, slots=True, eq=False)
class BufferState:
    """The samples of a device's open windows: `time` (N,), `xyz` (N, 3), and which of them a window has `used` (N,).

    The time of the run's first sample and the index of the oldest open window give the grid's phase.
    """

    run_start: float | None
    next_window: int
    time: Float64Array
    xyz: Float64Array
    used: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RecentState:
    """The `samples` (M, 3) of a device's last windows on the grid, up to the end of the newest one, which begins at
    `start` (device Unix s)."""

    start: float
    samples: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class DeviceState:
    """One device between two messages: all that another process needs to continue. `held_time` (N,) and `held_xyz`
    (N, 3) are the samples held for reordering."""

    device: str
    last_received: float
    clock: ClockState
    mounting: MountingState
    buffer: BufferState
    held_time: Float64Array
    held_xyz: Float64Array
    has_closed_window: bool
    recent: RecentState


@dataclass(frozen=True, slots=True)
class State:
    """What a device's wearer does since `since` (device Unix s): a label, a parent of labels, or `unknown`."""

    label: str
    since: float
    confidence: float


@dataclass(frozen=True, slots=True)
class FilterStep:
    """A window in the state filter: its `start`, the filter's probabilities (K,) after it, and its tempered evidence
    (K,)."""

    start: float
    belief: tuple[float, ...]
    evidence: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StateMemory:
    """What a device's next state depends on, after its newest window (`start` to `end`, device Unix s). It never
    changes, so another thread or process may go on from it.

    For the filter: the `labels` (K,) that its probabilities belong to, and its `steps`, of which the last `pending`
    have no state yet. For the majority: label, confidence and start of the last windows.
    """

    state: State | None
    start: float
    end: float
    labels: tuple[str, ...] = ()
    steps: tuple[FilterStep, ...] = ()
    pending: int = 0
    votes: tuple[tuple[str, float, float], ...] = ()


_counts = attrgetter(*CounterDelta.__slots__)


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """What happened to a device. It is `forgotten` after a long silence or where another replaced it; it is
    `forgotten_unpublished` where it never fell silent and closed no window, so that nothing of it was published."""

    device: str
    kind: Literal["new", "silent", "back", "forgotten", "forgotten_unpublished", "remounted"]
    at: float


# Kinds of what may be wrong with a device. With those of UNUSABLE its labels mean nothing.
UNUSABLE = ("no_gravity", "unit", "raw_counts", "slow", "rate", "two_senders", "stuck")
PROBLEMS = (*UNUSABLE, "late", "clipped", "gaps", "time_unit", "malformed", "retained", "shared_subscription")


@dataclass(frozen=True, slots=True)
class DeviceProblem:
    """One problem of a device: its kind (of PROBLEMS), since when on the gateway's monotonic clock, and what the
    sentence about it needs: a measured `value`, and a `detail` or `setting` where the decoder gave one.

    `value` is the length of gravity in the sender's unit (unit, raw_counts), the true rate in Hz (slow, rate), how late
    in s (late), the greatest acceleration in m/s² (clipped), or the missing share (gaps, shared_subscription).
    """

    kind: str
    since: float
    value: float = 0.0
    detail: str = ""
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class ProblemSummary:
    """Devices with problems now: how many have each of PROBLEMS, the kinds of those that are worst off, and the
    commonest problem as a sentence (empty where there is none)."""

    counts: dict[str, int]
    worst: dict[str, list[str]]
    commonest: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with `device` now, worst first; without `problems` all is well."""

    device: str
    problems: tuple[DeviceProblem, ...]

    @property
    def unusable(self) -> bool:
        """Whether the device's labels mean nothing."""
        return any(problem.kind in UNUSABLE for problem in self.problems)
