"""Messages of one device as it might send them: a stride or stillness, at any rate, with or without times."""

from __future__ import annotations

import numpy as np

from hard.motion.looks import LookRules
from hard.records import Float64Array, Samples
from hard.units import G_MS2

RULES = LookRules(12.0, shared=False)
DEVICE_TIME, ARRIVAL = 1_700_000_000.0, 1000.0


def stride(t: Float64Array, gravity: float = G_MS2, seed: int = 0) -> Float64Array:
    """A plausible stride (N, 3) in m/s² at times (N,) in s."""
    noise = np.random.default_rng(seed).normal(0, 0.3, (len(t), 3))
    phase = 0.7 * seed
    return np.asarray(
        np.stack([np.sin(11 * t + phase), gravity + 4 * np.sin(11.3 * t + phase), np.cos(11 * t)], axis=1) + noise
    )


def stream(
    *, seconds: float, rate_hz: float = 50.0, stated_hz: float | None = None, per_message: int = 50, timed: bool = True,
    gravity: float = G_MS2, scale: float = 1.0, still: bool = False, seed: int = 0, turned: int = 0,
    begin_s: float = 0.0, ms2_per_unit: float = 1.0, device: str = "a",
) -> list[Samples]:  # fmt: skip
    """Messages of `per_message` samples. Of more than one they state a rate: `stated_hz`, or the true one. Times follow
    from each message's first one and that rate, as in a batch. `turned` chooses the axis that points up."""
    t = begin_s + np.arange(round(seconds * rate_hz)) / rate_hz
    xyz = stride(t, gravity, seed) if not still else np.random.default_rng(seed).normal(0, 0.02, (len(t), 3))
    xyz = np.roll(xyz + ([0, gravity, 0] if still else 0.0), turned, axis=1) * scale
    rate = (stated_hz or rate_hz) if per_message > 1 else None
    messages = []
    for begin in range(0, len(t) - per_message + 1, per_message):
        part = slice(begin, begin + per_message)
        time = DEVICE_TIME + t[begin] + np.arange(per_message) / (rate or rate_hz)
        arrival = ARRIVAL + float(t[part][-1])
        wall = DEVICE_TIME + float(t[part][-1])
        messages.append(
            Samples(device, time if timed else None, xyz[part], arrival, wall, rate, ms2_per_unit=ms2_per_unit)
        )
    return messages
