"""What is wrong with devices, in words: on `{device}/diagnosis`, in the log, and as counts for health and metrics.

Knows no model. Thread-safe: the assemble thread brings what changed, the main thread ticks and asks.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from threading import Lock
from time import monotonic, time

import msgspec

from hard.mqtt.outbox import Outgoing
from hard.records import PROBLEMS, UNUSABLE, DeviceProblem, Diagnosis, ProblemSummary
from hard.units import G_MS2, UNITS

log = logging.getLogger(__name__)
SENT_PER_TICK = 200
WORST = 5  # devices that the health record names
CLOCK_SET_S = 2.0  # a step of the gateway's wall clock after which `since` is sent again
LONGEST_REORDER_S = 60  # the greatest value of ingest.reorder_s
SAME_SCALE = 1.12  # counts a g so near to a power of two are that


class ProblemPayload(msgspec.Struct):
    """One problem in the payload of `{prefix}/{device}/diagnosis`; `since` is gateway Unix s."""

    kind: str
    sentence: str
    setting: str | None
    since: float


class DiagnosisPayload(msgspec.Struct):
    """The payload of `{prefix}/{device}/diagnosis`; no `problems`: all is well."""

    problems: list[ProblemPayload]


def sentence(problem: DeviceProblem) -> tuple[str, str | None]:
    """What is wrong in one sentence, and the setting that mends it in the form of `--set`, if one does."""
    return _SENTENCES[problem.kind](problem)


def _unit(problem: DeviceProblem) -> tuple[str, str | None]:
    unit = min(UNITS, key=lambda name: abs(problem.value * UNITS[name] - G_MS2))
    told = f"gravity has the length {problem.value:.4g}, so accelerations come in {unit} and are taken for another unit"
    return told, f"ingest.unit={unit}" if unit in ("m/s2", "g") else f"ingest.scale={UNITS[unit]:.9g}"


def _raw_counts(problem: DeviceProblem) -> tuple[str, str | None]:
    counts = min((2.0**power for power in range(6, 17)), key=lambda of: max(of / problem.value, problem.value / of))
    if not 1 / SAME_SCALE <= problem.value / counts <= SAME_SCALE:
        counts = float(f"{problem.value:.3g}")
    told = f"gravity has the length {problem.value:.5g}: these are raw counts, about {counts:g} for 1 g"
    return told, f"ingest.scale={G_MS2 / counts:.9g}"


def _rate(problem: DeviceProblem) -> tuple[str, str | None]:
    if problem.detail:
        return problem.detail, None
    rate = f"{problem.value:.4g}"
    return f"samples come at {rate} Hz, which is not the rate that the messages state", f"ingest.rate_hz={rate}"


def _late(problem: DeviceProblem) -> tuple[str, str | None]:
    s = ceil(problem.value)
    setting = f"ingest.reorder_s={s}" if 0 < s <= LONGEST_REORDER_S else None
    return f"messages come up to {problem.value:.3g} s after newer ones, so their samples are dropped as late", setting


def _time_unit(problem: DeviceProblem) -> tuple[str, str | None]:
    return problem.detail or "times lie outside the years 2000 to 2100", problem.setting


_SENTENCES: dict[str, Callable[[DeviceProblem], tuple[str, str | None]]] = {
    "no_gravity": lambda p: (
        "accelerations don't contain gravity: choose the sensor that includes it (accelerometer, not linear "
        "acceleration)", None,
    ),
    "unit": _unit,
    "raw_counts": _raw_counts,
    "slow": lambda p: (f"{p.value:.3g} samples a second are fewer than the model needs: sample faster", None),
    "rate": _rate,
    "two_senders": lambda p: (
        "two senders publish under this device's name: give each a name of its own", None,
    ),
    "stuck": lambda p: ("the sensor gives the same values again and again: it is stuck, or was never read", None),
    "late": _late,
    "clipped": lambda p: (
        f"the sensor's range ends at {p.value:.3g} m/s², and movements are cut off there: choose a larger range", None,
    ),
    "gaps": lambda p: (f"{p.value:.0%} of the samples are missing: send at QoS 1, or check the radio link", None),
    "time_unit": _time_unit,
    "malformed": lambda p: (f"messages can't be read: {p.detail}", p.setting),
    "retained": lambda p: (
        "a message was retained by the broker and says nothing about now: send samples without the retain flag", None,
    ),
    "shared_subscription": lambda p: (
        f"{p.value:.0%} of the samples go to other members of the shared subscription: subscribe without $share, or "
        "let each device's topic go to one member",
        'ingest.topics=["sensors/{device}/accel"]',
    ),
}  # fmt: skip


class DiagnosisPublisher:
    """Gives retained messages to `put`. A device that is not `known` when its last problem ends leaves nothing behind.

    Each device and kind is logged once, of at most `max_devices` devices.
    """

    def __init__(
        self, put: Callable[[Outgoing], None], known: Callable[[str], bool], *, prefix: str, max_devices: int,
        topics: Sequence[str],
    ) -> None:  # fmt: skip
        self._put, self._known, self._prefix, self._max_devices = put, known, prefix, max_devices
        self._unshared = [topic.split("/", 2)[-1] if topic.startswith("$share/") else topic for topic in topics]
        self._problems: dict[str, tuple[DeviceProblem, ...]] = {}  # of devices that have some
        self._logged: dict[str, set[str]] = {}
        self._due: list[str] = []  # devices whose diagnosis is to be sent again
        self._connections = 0
        self._wall_ahead_s = time() - monotonic()
        self._lock = Lock()

    def update(self, diagnoses: Iterable[Diagnosis]) -> None:
        """These devices' problems changed."""
        with self._lock:
            for diagnosis in diagnoses:
                self._log(diagnosis)
                if diagnosis.problems:
                    self._problems[diagnosis.device] = diagnosis.problems
                else:
                    self._problems.pop(diagnosis.device, None)
                self._send(diagnosis.device)

    def forget(self, device: str) -> None:
        """The device is forgotten."""
        with self._lock:
            self._problems.pop(device, None)
            self._put(Outgoing(self._topic(device), bytes, 1, retain=True))

    def tick(self, connections: int) -> None:
        """Sends diagnoses with problems again after a new connection (`connections` counts), and after the gateway's
        clock was set; at most SENT_PER_TICK at each call."""
        with self._lock:
            wall_ahead_s = time() - monotonic()
            if connections != self._connections or abs(wall_ahead_s - self._wall_ahead_s) > CLOCK_SET_S:
                self._connections, self._due = connections, list(self._problems)
            self._wall_ahead_s = wall_ahead_s
            due, self._due = self._due[:SENT_PER_TICK], self._due[SENT_PER_TICK:]
            for device in due:
                if device in self._problems:
                    self._send(device)

    def summary(self) -> ProblemSummary:
        """How many devices have which problems; every kind is counted."""
        with self._lock:
            problems = dict(self._problems)
        counts = Counter(problem.kind for of in problems.values() for problem in of)
        worst = sorted(problems.items(), key=lambda item: (_weight(item[1]), item[0]))[:WORST]
        commonest = ""
        if counts:
            kind = min(counts, key=lambda name: (-counts[name], PROBLEMS.index(name)))
            problem = next(problem for of in problems.values() for problem in of if problem.kind == kind)
            told, setting = self._words(problem)
            devices = f"{counts[kind]} device{'s' * (counts[kind] > 1)}"
            commonest = f"{devices}: {told}" + (f" ({setting})" if setting else "")
        return ProblemSummary(
            {kind: counts[kind] for kind in PROBLEMS},
            {device: [problem.kind for problem in of] for device, of in worst},
            commonest,
        )

    def _words(self, problem: DeviceProblem) -> tuple[str, str | None]:
        told, setting = sentence(problem)
        if problem.kind == "shared_subscription":
            setting = f"ingest.topics={msgspec.json.encode(self._unshared).decode()}"
        return told, setting

    def _send(self, device: str) -> None:
        problems = self._problems.get(device, ())
        ahead_s = time() - monotonic()
        payload = b""
        if problems or self._known(device):
            told = [
                ProblemPayload(problem.kind, *self._words(problem), round(ahead_s + problem.since, 3))
                for problem in problems
            ]
            payload = msgspec.json.encode(DiagnosisPayload(told))
        self._put(Outgoing(self._topic(device), lambda: payload, 1, retain=True))

    def _log(self, diagnosis: Diagnosis) -> None:
        for problem in diagnosis.problems:
            if diagnosis.device not in self._logged and len(self._logged) >= self._max_devices:
                return
            logged = self._logged.setdefault(diagnosis.device, set())
            if problem.kind not in logged:
                logged.add(problem.kind)
                told, setting = self._words(problem)
                log.warning("%s: %s%s (%s)", diagnosis.device, told, f"; {setting}" if setting else "", problem.kind)

    def _topic(self, device: str) -> str:
        return f"{self._prefix}/{device}/diagnosis"


def _weight(problems: Sequence[DeviceProblem]) -> tuple[int, int]:
    """Sorts the worst first: most problems that make labels useless, then most problems."""
    return -sum(problem.kind in UNUSABLE for problem in problems), -len(problems)
