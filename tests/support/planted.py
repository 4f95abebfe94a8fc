"""Senders as `hard doctor` hears them: a walk in messages of a second, each wrong in one way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hard.commands.doctor import Heard
from hard.formats.writers import WRITERS, Batch
from hard.records import Float64Array, Message
from hard.simulator import Wearer
from hard.units import G_MS2

SECONDS, RATE = 30, 50
BOOTED = 1_794_990_000.0
TOPIC = "sensors/d/accel"
WALK = Wearer(3, float(RATE), start=1_795_000_000.0, among=("Walking",)).take(SECONDS * RATE)
Make = Callable[[Float64Array, Float64Array], list[bytes]]


def native(t: Float64Array, xyz: Float64Array, **changes: object) -> bytes:
    return json.dumps({"t0": t[0], "rate": RATE, "xyz": xyz.round(4).tolist()} | changes).encode()


def singles(t: Float64Array, xyz: Float64Array, shape: Callable[..., object]) -> list[bytes]:
    return [json.dumps(shape(a, *b)).encode() for a, b in zip(t.tolist(), xyz.tolist(), strict=True)]


def written(name: str) -> Make:
    return lambda t, xyz: WRITERS[name](Batch(t, xyz, float(RATE), "ph-1", BOOTED))


@dataclass(frozen=True, slots=True)
class Mistake:
    """A way to send, the settings that it meets, the kind of problem, and what its entry of `[[devices]]` must be."""

    make: Make
    kind: str
    entry: dict[str, object]
    overrides: tuple[str, ...] = ()
    topic: str = TOPIC
    retained: int = 0


MISTAKES = {
    "g sent": Mistake(lambda t, a: [native(t, a / G_MS2)], "unit", {"unit": "g"}),
    "g set": Mistake(lambda t, a: [native(t, a)], "unit", {"unit": "m/s2"}, ("ingest.unit=g",)),
    "mg sent": Mistake(lambda t, a: [native(t, a * 1000 / G_MS2)], "unit", {"scale": 0.009807}),
    "gravity taken out": Mistake(lambda t, a: [native(t, a - WALK.xyz.mean(axis=0))], "no_gravity", {}),
    "gravity taken out by the app": Mistake(
        lambda t, a: [
            json.dumps({
                "deviceId": "d",
                "payload": [
                    {"name": "accelerometer", "time": round(s * 1e9), "values": dict(zip("xyz", row, strict=True))}
                    for s, row in zip(t.tolist(), a.tolist(), strict=True)
                ],
            }).encode()
        ],
        "no_gravity", {"format": "sensorlogger"},
    ),
    "raw counts": Mistake(lambda t, a: [native(t, a * 16384 / G_MS2)], "raw_counts", {"scale": 0.0005986}),
    "ms as s": Mistake(lambda t, a: [native(t, a, t0=t[0] * 1000)], "time_unit", {}),
    "uptime": Mistake(lambda t, a: [native(t, a, t0=t[0] - BOOTED)], "time_unit", {"clock": "uptime"}),
    "counted from 2000": Mistake(
        lambda t, a: [native(t, a, t0=t[0] - 946_684_800)], "time_unit", {"epoch": 2000}
    ),
    "no time at all": Mistake(lambda t, a: [native(t, a, t0=7.0)], "time_unit", {"clock": "arrival"}),
    "a wrong rate": Mistake(lambda t, a: [native(t, a, rate=26)], "rate", {"rate_hz": 50.0}),
    "no rate": Mistake(lambda t, a: [json.dumps({"xyz": a.tolist()}).encode()], "rate", {"rate_hz": 50.0}),
    "too slow": Mistake(lambda t, a: [native(t[::10], a[::10], rate=5)], "slow", {}),
    "csv": Mistake(written("csv"), "malformed", {"format": "csv"}),
    "phyphox": Mistake(written("phyphox"), "malformed", {"format": "phyphox"}),
    "Sensor Logger": Mistake(written("sensorlogger"), "malformed", {"format": "sensorlogger"}),
    "int16": Mistake(written("int16"), "malformed", {"format": "int16", "scale": 0.004788, "rate_hz": 50.0}),
    "SensorSpot": Mistake(written("sensorspot"), "malformed", {"format": "mapping", "mapping": "sensorspot"}),
    "nested": Mistake(
        lambda t, a: singles(t, a, lambda s, x, y, z: {"t": s, "accel": {"x": x, "y": y, "z": z}}),
        "malformed",
        {"format": "mapping", "mapping": {"x": "$.accel.x", "y": "$.accel.y", "z": "$.accel.z", "t": "$.t"}},
    ),
    "a time under another name": Mistake(
        lambda t, a: [json.dumps({"timestamp": t[0], "rate": RATE, "xyz": a.tolist()}).encode()],
        "malformed",
        {
            "format": "mapping",
            "mapping": {
                "samples": "$.xyz", "x": "[0]", "y": "[1]", "z": "[2]", "t": "$.timestamp", "rate": "$.rate",
            },
        },
    ),
    "broken JSON": Mistake(lambda t, a: [native(t, a)[:50]], "malformed", {}),
    "two senders": Mistake(lambda t, a: [native(t, a), native(t - 0.4, a[::-1])], "two_senders", {}),
    "two senders with clocks half a minute apart": Mistake(
        lambda t, a: [native(t, a), native(t + 30, a[::-1])], "two_senders", {}
    ),
    "a topic that nothing reads": Mistake(lambda t, a: [native(t, a)], "topic", {}, topic="home/d/accel"),
    "stuck": Mistake(lambda t, a: [native(t, np.tile([0.0, 0.0, 9.8], (len(a), 1)))], "stuck", {}),
    "clipped": Mistake(lambda t, a: [native(t, a.clip(-14.5, 14.5))], "clipped", {}),
    "gaps": Mistake(lambda t, a: [native(t, a)] if int(t[0]) % 3 else [], "gaps", {}),
    "retained": Mistake(lambda t, a: [native(t, a)], "retained", {}, retained=1),
}  # fmt: skip


def seconds() -> Iterator[tuple[Float64Array, Float64Array]]:
    for second in range(SECONDS):
        part = slice(second * RATE, (second + 1) * RATE)
        yield WALK.time[part], WALK.xyz[part]


def heard(mistake: Mistake) -> dict[str, Heard]:
    """What the doctor hears of it: each message arrives up to 30 ms after its last sample."""
    rng = np.random.default_rng(0)
    messages = []
    for t, xyz in seconds():
        payloads = mistake.make(t, xyz)
        for i, payload in enumerate(payloads):
            last = t[-1] if len(payloads) < 3 else t[i * len(t) // len(payloads)]
            at = float(last) + 0.05 + float(rng.uniform(0, 0.03))
            messages.append(Message(mistake.topic, payload, at - BOOTED, at))
    return {mistake.topic: Heard(messages, mistake.retained)}
