"""A few seconds of one device's messages → the kinds of problems that they show, each with a measured value.

Pure, and without a model: only what gravity, the spacing of samples and repeated values say. `diagnosis` decides when a
device is looked at, and when what was found is a problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hard.records import Float64Array, Samples
from hard.units import G_MS2

MIN_SAMPLES, MIN_STUCK = 10, 20  # that say something about gravity, or that no value changes
# On the recordings of ../shared/data, five seconds each, gravity has this length in m/s²; the mean of an acceleration
# without it is near 0, and small against its movement.
GRAVITY_MS2 = (6.0, 16.0)
NO_GRAVITY_MS2, LITTLE_GRAVITY_MS2 = 0.5, 3.5
NO_GRAVITY_SHARE, LITTLE_GRAVITY_SHARE = 0.2, 0.45  # of the mean magnitude
SURE_GRAVITY_SHARE = 0.5  # from here on the length of gravity says which unit it is in
UNIT_TOLERANCE = 1.25
LEAST_COUNTS = 48.0  # gravity of less is no raw count: the coarsest accelerometers have 64 counts a g
# Clipped: so many samples lie at the greatest value of an axis, which is at least so large.
CLIPPED_MS2, CLIPPED_SHARE, CLIPPED_SAMPLES, SAME_VALUE = 14.0, 0.02, 4, 0.9985
STUCK_AXIS_MS2 = 2.0  # an axis that never changes while another moves by so much
# Two senders: neighbouring samples differ more than every second one does.
ALTERNATES, ALTERNATES_MEANS, ALTERNATES_BY_G = 4.0, 10.0, 0.1
OVERLAPPING, BACK_STEPS = 0.3, 5.0
EVEN, RATE_TOLERANCE = 0.15, 0.08  # spread of the messages' spacing; and how far it may be off the stated rate
ARRIVAL_RATE = (0.6, 1.5, 4.0)  # of arrivals over the stated rate; beyond the last it is a backlog
MIN_ARRIVAL_S = 4.0
GAP_S, PAUSE_S, GAPS = 0.15, 10.0, 0.1  # a longer silence is a pause; share that may be missing
SHARED_GAPS, SHARED_SPACING = 0.3, 1.5
SAME_TIME_S = 1e-6
SLOW_TOLERANCE = 0.97, 0.9  # by the device's times, by arrivals

Found = dict[str, float]  # kinds and values


@dataclass(frozen=True, slots=True)
class LookRules:
    """The least sample rate at which the model was measured good, and whether the daemon's subscription is shared."""

    least_rate_hz: float
    shared: bool


def examine(messages: Sequence[Samples], spacings: Sequence[float], rules: LookRules) -> Found:
    """What `messages` of one device show, in the order of arrival. `spacings` are the device's seconds a sample from
    each of the last messages of more than one sample to the next."""
    with np.errstate(all="ignore"):  # of impossible values, which show as out of range
        return _examine(messages, spacings, rules)


def _examine(messages: Sequence[Samples], spacings: Sequence[float], rules: LookRules) -> Found:
    xyz = messages[0].xyz if len(messages) == 1 else np.concatenate([message.xyz for message in messages])
    found: Found = {}
    gravity = 0.0
    if len(xyz) >= MIN_SAMPLES:
        mean = xyz.mean(axis=0)
        gravity = float(np.sqrt(mean @ mean))
        found = _values(messages, xyz, gravity)
    times = [message.time for message in messages if message.time is not None]
    if len(times) == len(messages):
        return found | _Times(messages, np.concatenate(times), xyz, gravity).examine(spacings, rules)
    return found | _arrived(messages, xyz, gravity, rules)


def lateness_s(messages: Sequence[Samples]) -> float:
    """How far messages are behind the newest time before them, at most."""
    newest, most = -np.inf, 0.0
    for message in messages:
        if message.time is not None:
            last = float(message.time[-1])
            newest, most = max(newest, last), max(most, newest - last)
    return most


def _values(messages: Sequence[Samples], xyz: Float64Array, gravity: float) -> Found:
    low, high = xyz.min(axis=0).tolist(), xyz.max(axis=0).tolist()
    spread = [most - least for least, most in zip(low, high, strict=True)]
    if len(xyz) >= MIN_STUCK and (
        max(spread) == 0 or (min(spread) == 0 and max(spread) > STUCK_AXIS_MS2) or _repeated(messages)
    ):
        return {"stuck": 0.0}
    found = {} if GRAVITY_MS2[0] <= gravity <= GRAVITY_MS2[1] else _strange_gravity(messages, xyz, gravity)
    for axis, most in enumerate(map(max, high, [-least for least in low])):
        if most >= CLIPPED_MS2:
            at_limit = int(np.count_nonzero(np.abs(xyz[:, axis]) >= SAME_VALUE * most))
            if at_limit >= max(CLIPPED_SAMPLES, CLIPPED_SHARE * len(xyz)):
                found["clipped"] = max(most, found.get("clipped", 0.0))
    return found


def _strange_gravity(messages: Sequence[Samples], xyz: Float64Array, gravity: float) -> Found:
    """Why gravity doesn't have its length: it isn't there, or comes in another unit or in counts."""
    share = gravity / max(float(np.sqrt(np.einsum("tc,tc->t", xyz, xyz)).mean()), 1e-9)
    sent = gravity / messages[-1].ms2_per_unit
    if (
        gravity < NO_GRAVITY_MS2
        or share < NO_GRAVITY_SHARE
        or (share < LITTLE_GRAVITY_SHARE and gravity < LITTLE_GRAVITY_MS2)
    ):
        return {"no_gravity": 0.0}
    if share <= SURE_GRAVITY_SHARE:
        return {}
    if nearest_unit(sent):
        return {"unit": sent}
    return {"raw_counts": sent} if sent >= LEAST_COUNTS else {}


COUNTS = [2.0**power for power in range(6, 16)]  # of accelerometers, for a g
UNIT_GRAVITY = {"g": 1.0, "m/s2": G_MS2, "mg": 1000.0, "mm/s2": 1000 * G_MS2}


def nearest_unit(gravity: float) -> str:
    """The unit in which gravity has the length `gravity`; empty where it is rather a number of counts, or neither."""
    near = {unit: max(gravity / of, of / gravity) for unit, of in UNIT_GRAVITY.items()}
    unit = min(near, key=lambda name: near[name])
    counts = min(max(gravity / of, of / gravity) for of in COUNTS)
    return unit if near[unit] <= min(counts, UNIT_TOLERANCE) else ""


def _repeated(messages: Sequence[Samples]) -> bool:
    """Whether each message has the same samples once more."""
    first = messages[0].xyz
    if len(messages) < 3 or len(first) < 5 or first[0, 0] != messages[1].xyz[0, 0]:
        return False
    return all(np.array_equal(first, message.xyz) for message in messages[1:])


class _Times:
    """Messages (K) with the device's own times: `time` (N,) and `xyz` (N, 3) of all in the order of arrival."""

    def __init__(self, messages: Sequence[Samples], time: Float64Array, xyz: Float64Array, gravity: float) -> None:
        self._messages, self._time, self._xyz, self._gravity = messages, time, xyz, gravity
        self._batches = len(time) > len(messages)

    def examine(self, spacings: Sequence[float], rules: LookRules) -> Found:
        time, xyz = self._time, self._xyz
        steps = time[1:] - time[:-1]
        if len(steps) and steps.min() <= SAME_TIME_S:
            order = time.argsort(kind="stable")
            time, xyz = time[order], xyz[order]
            steps = time[1:] - time[:-1]
            steps = steps[steps > SAME_TIME_S]
        if len(steps) < 3:
            return {}
        whole = float(time[-1]).is_integer() and not (time % 1.0).any()  # whole seconds: many samples share one
        step, even = self._step(steps, whole), _even(spacings)
        if self._interleaved(step, even) or _alternates(xyz, self._gravity):
            return {"two_senders": 0.0}
        found: Found = {}
        if even is not None and self._messages[-1].rate_hz and self._batches and abs(even / step - 1) > RATE_TOLERANCE:
            if rules.shared and even > SHARED_SPACING * step:
                return {"shared_subscription": 1 - step / even}
            found["rate"], step = 1 / even, even
        if 1 / step < SLOW_TOLERANCE[0] * rules.least_rate_hz:
            found["slow"] = 1 / step
        missing = 0.0 if whole or "rate" in found else _missing(steps, step)
        if missing >= GAPS:
            found["shared_subscription" if rules.shared and missing >= SHARED_GAPS else "gaps"] = missing
        return found

    def _step(self, steps: Float64Array, whole: bool) -> float:
        """The spacing of samples within messages; `steps` are those over all messages."""
        if whole:
            return float((self._time.max() - self._time.min()) / max(1, len(self._time) - 1))
        step = 0.0
        if self._batches:
            within = sorted(
                [length_s(message) / (len(message.xyz) - 1) for message in self._messages if len(message.xyz) > 1]
            )
            step = within[len(within) // 2]
        return step if step > SAME_TIME_S else float(np.sort(steps)[len(steps) // 2])

    def _interleaved(self, step: float, even: float | None) -> bool:
        """Whether messages again and again begin before the one before them ends."""
        if even is not None or len(self._messages) < 4:
            return False
        pairs = list(pairwise(self._messages))
        if self._batches:
            back = [float(_times(one)[-1] - _times(two)[0]) > 0.5 * step for one, two in pairs]
        else:
            back = (self._time[:-1] - self._time[1:] > BACK_STEPS * step).tolist()
        least = max(2.0, OVERLAPPING * len(back))
        if sum(back) < least:
            return False
        # A message that comes twice is no second sender's.
        others = [went and not np.array_equal(one.xyz, two.xyz) for went, (one, two) in zip(back, pairs, strict=True)]
        return sum(others) >= least


def _times(message: Samples) -> Float64Array:
    assert message.time is not None  # as of all messages here
    return message.time


def length_s(message: Samples) -> float:
    """How many seconds a message's samples span."""
    if message.time is not None:
        return abs(float(message.time[-1]) - float(message.time[0]))
    return len(message.xyz) / message.rate_hz if message.rate_hz else 0.0


def _missing(steps: Float64Array, step: float) -> float:
    """The share of the time of `steps` (N,) that lies in gaps."""
    longest = max(3 * step, GAP_S)
    if not len(steps) or steps.max() <= longest:
        return 0.0
    steps = steps[steps <= PAUSE_S]
    return float((steps[steps > longest] - step).sum()) / max(float(steps.sum()), step)


def _even(spacings: Sequence[float]) -> float | None:
    """The spacing that all of at least three `spacings` have, or None where they differ."""
    middle = sorted(spacings)[len(spacings) // 2] if len(spacings) >= 3 else 0.0
    return middle if middle > 0 and max(spacings) - min(spacings) <= EVEN * middle else None


def _alternates(xyz: Float64Array, gravity: float, *, least: int = MIN_STUCK, factor: float = ALTERNATES) -> bool:
    """Whether every second of the rows (N, 3), at `least` so many, resembles the one before it less than the next."""
    if len(xyz) < least:
        return False
    one, two = (xyz[1:] - xyz[:-1]).ravel(), (xyz[2:] - xyz[:-2]).ravel()
    by_one, by_two = float(one @ one) / max(1, len(one) // 3), float(two @ two) / max(1, len(two) // 3)
    return gravity > 0 and bool(by_one > max(factor * by_two, (ALTERNATES_BY_G * gravity) ** 2))


def _arrived(messages: Sequence[Samples], xyz: Float64Array, gravity: float, rules: LookRules) -> Found:
    """What the arrivals of samples without times show. A backlog comes faster than samples can be taken."""
    counts = [len(message.xyz) for message in messages]
    elapsed, later = messages[-1].received_at - messages[0].received_at, len(xyz) - counts[0]
    stated = messages[-1].rate_hz
    measured = later / elapsed if elapsed >= MIN_ARRIVAL_S and len(messages) >= 3 else None
    ratio = measured / stated if measured and stated else 1.0
    if max(counts) == 1:
        mixed = _alternates(xyz, gravity)
    else:
        means = np.array([message.xyz.mean(axis=0) for message in messages])
        twice = not stated or ratio >= ARRIVAL_RATE[1]
        mixed = twice and _alternates(means, gravity, least=5, factor=ALTERNATES_MEANS)
    if mixed:
        return {"two_senders": 0.0}
    found: Found = {}
    if measured and not (ARRIVAL_RATE[0] <= ratio <= ARRIVAL_RATE[1]) and ratio <= ARRIVAL_RATE[2]:
        if rules.shared and ratio < 1:
            return {"shared_subscription": 1 - ratio}
        found["rate"] = measured
    elif stated:
        measured = stated
    if measured and measured < SLOW_TOLERANCE[1] * rules.least_rate_hz:
        found["slow"] = measured
    return found
