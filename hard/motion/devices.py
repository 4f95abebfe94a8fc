"""All devices: `Samples` in, `Window`s and a `CounterDelta` out; `tick` gives what happened to devices since.

A device has a clock, samples held for reordering, a window buffer and a mounting. Not thread-safe: one thread owns it.
Knows no wire format and no model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from hard.motion.clock import Clock
from hard.motion.mounting import Frame, Mounting
from hard.motion.recent import Recent
from hard.motion.wear import Wear
from hard.motion.windows import Grid, RawWindow, WindowBuffer
from hard.records import CounterDelta, DeviceEvent, DeviceState, Float64Array, Samples, Window

NO_CHANGE = CounterDelta()
LATE_CADENCES = 1.5  # times between its messages after which a device is silent


@dataclass(frozen=True, slots=True)
class DeviceRules:
    """Bounds and times of devices; `max_abs_ms2` is the greatest acceleration on an axis that is taken as real."""

    max_devices: int
    reorder_s: float
    silent_after_s: float
    forget_after_s: float
    max_abs_ms2: float


@dataclass(slots=True, eq=False)
class Device:
    buffer: WindowBuffer
    mounting: Mounting
    wear: Wear
    last_received: float
    cadence_s: float = 0.0  # usual time between messages, which silences are measured against
    last_pause_s: float = 0.0
    clock: Clock = field(default_factory=Clock)
    recent: Recent = field(default_factory=Recent)
    silent: bool = False
    was_silent: bool = False  # it was silent once: then its state `unknown` was published
    place: str | None = None  # as its last samples state
    held_time: Float64Array = field(default_factory=lambda: np.empty(0))
    held_xyz: Float64Array = field(default_factory=lambda: np.empty((0, 3)))


class Devices:
    """All devices by name, at most `rules.max_devices`. A new device replaces the least recently heard one, if that is
    silent or all have closed a window; else the least recently heard of those that never closed one, so that a flood of
    names evicts no device that works.

    `default_mounting` holds for a device that hasn't shown its own yet.
    """

    def __init__(self, grid: Grid, default_mounting: Frame, rules: DeviceRules) -> None:
        self.grid, self.default_mounting, self._rules = grid, default_mounting, rules
        self._devices: OrderedDict[str, Device] = OrderedDict()  # least recently heard first
        self._without_window: OrderedDict[str, None] = OrderedDict()  # those that never closed a window
        self._events: list[DeviceEvent] = []
        self._silent = 0

    def __len__(self) -> int:
        return len(self._devices)

    def __contains__(self, name: str) -> bool:
        return name in self._devices

    def active(self) -> int:
        """How many devices aren't silent; like `len` and `in`, safe to call from any thread."""
        return len(self._devices) - self._silent

    def push(self, samples: Samples) -> tuple[list[Window], CounterDelta]:
        """Adds one message's samples; gives the windows that they close and what became of every sample."""
        paused_s = self._paused_s(samples)
        device, delta = self._heard(samples.device, samples.received_at)
        device.place = samples.place
        if not len(samples.xyz):
            return [], delta
        time, xyz = device.clock.stamp(samples, self.grid.rate_hz, self.grid.max_gap_s), samples.xyz
        if samples.uptime and device.clock.uptime.restarted:
            delta += self._end_run(device)
        device.cadence_s = max(float(time[-1] - time[0]), min(paused_s, device.last_pause_s))
        device.last_pause_s = paused_s
        if not np.abs(xyz).max() <= self._rules.max_abs_ms2:  # NaN is not real either
            real = np.all(np.abs(xyz) <= self._rules.max_abs_ms2, axis=1)
            time, xyz = time[real], xyz[real]
            unreal = len(real) - len(time)
            delta += CounterDelta(decoded=unreal, out_of_range=unreal)
            if not len(time):
                return [], delta
        if len(time) > 1 and (time[1:] < time[:-1]).any():
            order = np.argsort(time, kind="stable")
            time, xyz = time[order], xyz[order]
        if time[-1] >= device.buffer.late_before:
            device.clock.end_late_streak()
        elif device.clock.was_set_back(
            float(time[-1]), samples.received_at, behind_s=device.buffer.late_before - time[-1], paused_s=paused_s
        ):
            delta += self._end_run(device)
            device.clock.uptime.forget()
        raw_windows, step = self._push_in_order(device, time, xyz)
        device.clock.track_offset(float(time[-1]), samples.received_wall, new_run=step.runs > 0)
        windows = [self._window(samples, device, raw) for raw in raw_windows]
        return windows, step if delta is NO_CHANGE else delta + step

    def tick(self, now: float) -> tuple[list[DeviceEvent], CounterDelta]:
        """Events since the last call, with devices that fell silent or are forgotten at monotonic time `now`."""
        delta = CounterDelta()
        for name, device in list(self._devices.items()):
            quiet_s = now - device.last_received
            if quiet_s > self._rules.forget_after_s:
                delta += self._forget(name, now)
            elif not device.silent and self._is_silent(device, quiet_s):
                device.silent = device.was_silent = True
                self._silent += 1
                self._events.append(DeviceEvent(name, "silent", now))
        events, self._events = self._events, []
        return events, delta

    def release(self, now: float, wall: float) -> tuple[list[Window], CounterDelta, list[str]]:
        """Releases samples held for reordering of devices that sent nothing for `reorder_s`: no earlier sample comes in
        time any more. Gives windows, the delta, and the names of these devices."""
        windows: list[Window] = []
        delta, names = CounterDelta(), []
        for name, device in self._devices.items():
            held, since = len(device.held_time), device.last_received
            if not held or now - since < self._rules.reorder_s:
                continue
            time, xyz = device.held_time, device.held_xyz
            device.held_time, device.held_xyz = np.empty(0), np.empty((0, 3))
            raw_windows, step = device.buffer.push(time, xyz)
            delta += step + CounterDelta(decoded=-held, held=-held)  # they were counted as decoded when they came
            last = Samples(name, time, xyz, since, wall - (now - since))
            windows += [self._window(last, device, raw) for raw in raw_windows]
            names.append(name)
        return windows, delta, names

    def end_run(self, name: str) -> CounterDelta:
        """Ends a device's run, as a silence does: the next run has its own grid. An unknown device has none to end."""
        device = self._devices.get(name)
        return self._flush(device) + device.buffer.end_run() if device else CounterDelta()

    def states(self, names: Iterable[str] | None = None) -> Iterator[DeviceState]:
        """The present states of the devices `names` that are known, or of all."""
        for name in list(self._devices) if names is None else names:
            if device := self._devices.get(name):
                yield DeviceState(
                    device=name,
                    last_received=device.last_received,
                    clock=device.clock.state(),
                    mounting=device.mounting.state(),
                    buffer=device.buffer.state(),
                    held_time=device.held_time,
                    held_xyz=device.held_xyz,
                    has_closed_window=name not in self._without_window,
                    recent=device.recent.state(),
                )

    def restore(
        self, states: Iterable[DeviceState], shift_s: float, *, whole: bool, clocks: bool = True
    ) -> CounterDelta:
        """Continues from `states`, whose monotonic times are `shift_s` behind; if not `whole`, only from mountings and
        `clocks`."""
        delta = CounterDelta()
        newest = sorted(states, key=lambda state: state.last_received)[-self._rules.max_devices :]
        for state in newest:
            device = self._new(state.device, state.last_received + shift_s)
            device.mounting.restore(state.mounting)
            device.was_silent = True  # perhaps: this is not part of the state
            if not state.has_closed_window:
                self._without_window[state.device] = None
            if clocks:
                device.clock.restore(state.clock, shift_s)
            if whole:
                device.buffer.restore(state.buffer)
                device.recent.restore(state.recent)
                device.held_time, device.held_xyz = state.held_time, state.held_xyz
                accepted, held = len(state.buffer.time), len(state.held_time)
                delta += CounterDelta(restored=accepted + held, accepted=accepted, held=held)
        return delta

    def close(self) -> CounterDelta:
        """Drops every device and gives what became of its samples, for the counters at the end."""
        delta = CounterDelta()
        for device in self._devices.values():
            delta += self._flush(device) + device.buffer.end_run()
        self._devices.clear()
        self._without_window.clear()
        self._silent = 0
        return delta

    def _paused_s(self, samples: Samples) -> float:
        device = self._devices.get(samples.device)
        return samples.received_at - device.last_received if device else 0.0

    def _heard(self, name: str, now: float) -> tuple[Device, CounterDelta]:
        delta = NO_CHANGE
        device = self._devices.get(name)
        if device is None:
            if len(self._devices) >= self._rules.max_devices:
                delta = self._forget(self._device_to_evict(now), now)
            device = self._new(name, now)
            self._without_window[name] = None
        else:
            self._devices.move_to_end(name)
            if name in self._without_window:
                self._without_window.move_to_end(name)
            if device.silent:
                device.silent = False
                self._silent -= 1
                self._events.append(DeviceEvent(name, "back", now))
        device.last_received = now
        return device, delta

    def _is_silent(self, device: Device, quiet_s: float) -> bool:
        """One that sends a batch a minute is not silent between two of them."""
        return quiet_s > max(self._rules.silent_after_s, LATE_CADENCES * device.cadence_s)

    def _device_to_evict(self, now: float) -> str:
        oldest = next(iter(self._devices))
        silent = self._is_silent(self._devices[oldest], now - self._devices[oldest].last_received)
        return oldest if silent else next(iter(self._without_window), oldest)

    def _new(self, name: str, now: float) -> Device:
        rate_hz = self.grid.rate_hz
        device = Device(WindowBuffer(self.grid), Mounting(self.default_mounting, rate_hz), Wear(rate_hz), now)
        self._devices[name] = device
        self._events.append(DeviceEvent(name, "new", now))
        return device

    def _forget(self, name: str, now: float) -> CounterDelta:
        device = self._devices.pop(name)
        published = device.was_silent or name not in self._without_window
        self._without_window.pop(name, None)
        self._silent -= device.silent
        self._events.append(DeviceEvent(name, "forgotten" if published else "forgotten_unpublished", now))
        return self._flush(device) + device.buffer.end_run()

    def _push_in_order(
        self, device: Device, time: Float64Array, xyz: Float64Array
    ) -> tuple[list[RawWindow], CounterDelta]:
        """Holds samples for `reorder_s` of device time, so that the buffer gets them sorted. At 0 nothing is held, but
        samples that an earlier process held may still be there."""
        if not self._rules.reorder_s and not len(device.held_time):
            return device.buffer.push(time, xyz)
        n, held, newest = (
            len(time),
            len(device.held_time),
            time[-1],
        )  # of a held sample the time may be far in the future
        time = np.concatenate((device.held_time, time))
        xyz = np.concatenate((device.held_xyz, xyz))
        order = np.argsort(time, kind="stable")
        time, xyz = time[order], xyz[order]
        released = int(np.searchsorted(time, newest - self._rules.reorder_s, side="right"))
        released = max(released, len(time) - self.grid.max_samples)
        device.held_time, device.held_xyz = time[released:], xyz[released:]
        windows, delta = device.buffer.push(time[:released], xyz[:released]) if released else ([], CounterDelta())
        # The buffer counts samples as decoded when it gets them; they were decoded when they came.
        return windows, delta + CounterDelta(decoded=n - released, held=len(time) - released - held)

    def _end_run(self, device: Device) -> CounterDelta:
        """Ends the run of a device whose clock jumped."""
        return self._flush(device) + device.buffer.end_run() + CounterDelta(jumps=1)

    def _flush(self, device: Device) -> CounterDelta:
        """Drops samples still held when their run ends: they were accepted but no window uses them."""
        n = len(device.held_time)
        device.held_time, device.held_xyz = np.empty(0), np.empty((0, 3))
        return CounterDelta(accepted=n, unused=n, held=-n)

    def _window(self, samples: Samples, device: Device, raw: RawWindow) -> Window:
        self._without_window.pop(samples.device, None)
        if device.mounting.learn(raw.xyz):
            self._events.append(DeviceEvent(samples.device, "remounted", samples.received_at))
        device.wear.look(raw.start, raw.end, raw.xyz)
        frame = device.mounting.frame
        return Window(
            device=samples.device,
            start=raw.start,
            end=raw.end,
            xyz=raw.xyz,
            coverage=raw.coverage,
            up=frame.up,
            forward=frame.forward,
            calibrated=frame.calibrated,
            clock_offset_s=device.clock.offset_s or 0.0,
            received_at=samples.received_at,
            received_wall=samples.received_wall,
            place=device.place,
            worn=device.wear.worn,
            before=device.recent.before(raw, self.grid.rate_hz),
        )
