"""What each device sent lately → what is wrong with it. Pure: times are passed in; it knows no setting and no words.

Between looks a message costs a few additions. A look takes a device's messages of LOOK_S, every EVERY_S; one that shows
something else than the look before is followed by another at once. What two looks in a row show is a problem, what two
don't show is none any more. So a problem appears within 30 s of its cause and goes within 60 s of its end.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import replace

from hard.motion.looks import Found, LookRules, examine, lateness_s, length_s
from hard.records import PROBLEMS, DeviceProblem, Diagnosis, Samples

LOOK_S, EVERY_S = 5.0, 14.0
BACKLOG_LOOK_S = 20.0  # so many seconds of samples are enough, however fast several messages came
LONG_LOOK_S = 10.0  # a look at so many seconds of samples counts as two
MAX_LOOK_SAMPLES = 2000
MAX_SPACINGS = 6
LATE, SWITCHES = 0.2, 4  # share of samples; changes of topic between two looks
REFUSED = 0.2  # share of messages
KEPT_S, KEPT_MESSAGES = 40.0, 2.5  # how long what was told is a problem, in s and in intervals between messages


class _Device:
    """What is remembered of one device. All times are monotonic."""

    __slots__ = (
        "begun", "collected", "collected_samples", "content_s", "first", "found", "heard", "interval_s", "last_at",
        "late", "messages", "messages_before", "next_look_at", "problems", "refused", "reported", "samples",
        "spacings", "switches", "told", "topic",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self.last_at = self.begun = self.next_look_at = now
        self.interval_s = self.content_s = 0.0
        self.collected: list[Samples] | None = None
        self.first: tuple[float, int] | None = None  # the last message's first time, and how many samples it had
        self.spacings: deque[float] = deque(maxlen=MAX_SPACINGS)
        self.found: Found = {}  # by the last look
        self.messages = self.samples = self.late = self.refused = self.switches = 0  # since the last look
        self.messages_before = 0  # between the two looks before
        self.collected_samples = 0
        self.topic = ""
        self.told: dict[str, float] = {}  # what ends by itself, and when it was told last
        self.problems: dict[str, DeviceProblem] = {}
        self.heard = self.reported = False


class Diagnoses:
    """All devices by name, at most `max_devices`. A new one replaces one of which no message could be used, or else the
    one that was looked at least recently."""

    def __init__(self, rules: LookRules, max_devices: int) -> None:
        self._rules, self._max_devices = rules, max_devices
        self._devices: OrderedDict[str, _Device] = OrderedDict()
        self._watched: set[str] = set()  # devices with problems
        self._unheard: dict[str, None] = {}  # devices of which no message could be used
        self._changed: dict[str, None] = {}

    def change(self, rules: LookRules) -> None:
        """Other rules from the next look on."""
        self._rules = rules

    def heard(self, samples: Samples, topic: str, late: int) -> tuple[str, ...]:
        """A message was decoded; of its samples so many came too late for their windows. Gives the kinds of the
        device's problems now."""
        at, n = samples.received_at, len(samples.xyz)
        device = self._devices.get(samples.device)
        if device is None or not device.heard:
            device = device or self._new(samples.device, at)
            device.heard = True
            self._unheard.pop(samples.device, None)
        device.interval_s, device.last_at = at - device.last_at, at
        device.messages += 1
        device.samples += n
        if topic != device.topic:
            device.switches += bool(device.topic)
            device.topic = topic
        if late:
            device.late += late
        if n > 1 and samples.time is not None:
            first = float(samples.time[0])
            if device.first is not None:
                device.spacings.append((first - device.first[0]) / device.first[1])
            device.first = first, n
        if device.collected is None:
            if at < device.next_look_at:
                return tuple(device.problems) if device.problems else ()
            device.collected, device.begun = [], at
            device.content_s, device.collected_samples = 0.0, 0
        device.collected.append(samples)
        device.collected_samples += n
        if n > 1:
            device.content_s += length_s(samples)
        enough = device.content_s >= (LOOK_S if len(device.collected) == 1 else BACKLOG_LOOK_S)
        if enough or at - device.begun >= LOOK_S or device.collected_samples >= MAX_LOOK_SAMPLES:
            self._look(samples.device, device, at)
        return tuple(device.problems) if device.problems else ()

    def respaced(self, samples: Samples) -> Samples:
        """`samples` at the rate that the messages' own first times show, where the stated one is wrong."""
        device = self._devices.get(samples.device)
        wrong = device.problems.get("rate") if device and device.problems else None
        time = samples.time
        if wrong is None or time is None or not samples.rate_hz or wrong.value <= 0:
            return samples
        return replace(samples, time=time[0] + (time - time[0]) * (samples.rate_hz / wrong.value))

    def refused(self, name: str, kind: str, now: float, *, detail: str = "", setting: str | None = None) -> None:
        """A message of the device could not be used, for a reason of that kind."""
        device = self._devices.get(name) or self._new_unheard(name, now)
        device.interval_s, device.last_at = now - device.last_at, now
        device.refused += 1
        if device.refused >= REFUSED * (device.messages_before + device.messages + device.refused):
            self._tell(name, device, DeviceProblem(kind, now, detail=detail, setting=setting))

    def retained(self, name: str, now: float) -> None:
        """A message of the device came from the broker's memory."""
        self._tell(name, self._devices.get(name) or self._new_unheard(name, now), DeviceProblem("retained", now))

    def kinds(self, name: str) -> tuple[str, ...]:
        """The kinds of the device's problems now."""
        device = self._devices.get(name)
        return tuple(device.problems) if device and device.problems else ()

    def forget(self, name: str) -> None:
        """The device is forgotten."""
        self._devices.pop(name, None)
        self._unheard.pop(name, None)
        self._watched.discard(name)
        self._changed.pop(name, None)

    def tick(self, now: float) -> list[Diagnosis]:
        """The devices whose problems changed since the last call, and those that were diagnosed for the first time."""
        for name in list(self._watched):
            device = self._devices[name]
            kept_s = max(KEPT_S, KEPT_MESSAGES * device.interval_s)
            for kind, told_at in list(device.told.items()):
                if now - told_at > kept_s:
                    del device.told[kind]
                    self._end(name, device, kind)
            for kind in list(device.problems) if now - device.last_at > kept_s else ():
                self._end(name, device, kind)
            if not device.told and not device.problems:
                self._watched.discard(name)
        changed, self._changed = self._changed, {}
        return [Diagnosis(name, self._problems(name)) for name in changed]

    def _look(self, name: str, device: _Device, now: float) -> None:
        messages, device.collected = device.collected or [], None
        found = examine(messages, device.spacings, self._rules)
        if device.switches >= max(SWITCHES, REFUSED * device.messages):
            found["two_senders"] = 0.0
        if device.late > LATE * device.samples and "two_senders" not in found:
            found["late"] = lateness_s(messages)
        before = found if device.content_s >= LONG_LOOK_S else device.found
        for kind, value in found.items():
            if kind in before and kind not in device.told:
                self._begin(name, device, DeviceProblem(kind, now, value))
        for kind in list(device.problems):
            if kind not in found and kind not in before and kind not in device.told:
                self._end(name, device, kind)
        unsure = found.keys() != before.keys()
        device.next_look_at = now if unsure else device.begun + EVERY_S
        device.found = found
        device.messages_before = device.messages
        device.messages = device.samples = device.late = device.refused = device.switches = 0
        self._devices.move_to_end(name)
        if not device.reported and not unsure:
            device.reported = True
            self._changed[name] = None

    def _tell(self, name: str, device: _Device, problem: DeviceProblem) -> None:
        """Begins a problem that ends by itself."""
        device.told[problem.kind] = problem.since
        self._begin(name, device, problem)

    def _begin(self, name: str, device: _Device, problem: DeviceProblem) -> None:
        held = device.problems.get(problem.kind)
        if held is None or (held.setting, held.detail == "") != (problem.setting, problem.detail == ""):
            self._changed[name] = None
            device.reported = True
        elif abs(held.value - problem.value) <= 0.2 * abs(held.value):
            return  # the same
        since = held.since if held else problem.since
        device.problems[problem.kind] = DeviceProblem(
            problem.kind, since, problem.value, problem.detail, problem.setting
        )
        self._watched.add(name)

    def _end(self, name: str, device: _Device, kind: str) -> None:
        if device.problems.pop(kind, None):
            self._changed[name] = None

    def _new(self, name: str, now: float) -> _Device:
        if len(self._devices) >= self._max_devices:
            evicted = next(iter(self._unheard or self._devices))
            told = self._devices[evicted].reported
            self.forget(evicted)
            if told:
                self._changed[evicted] = None  # it has no problem that anybody knows any more
        device = self._devices[name] = _Device(now)
        return device

    def _new_unheard(self, name: str, now: float) -> _Device:
        device = self._new(name, now)
        self._unheard[name] = None
        return device

    def _problems(self, name: str) -> tuple[DeviceProblem, ...]:
        device = self._devices.get(name)
        return _ordered(device.problems.values()) if device else ()


def _ordered(problems: Iterable[DeviceProblem]) -> tuple[DeviceProblem, ...]:
    return tuple(sorted(problems, key=lambda problem: PROBLEMS.index(problem.kind)))
