"""Topics and payload bytes → `Samples`. Knows no device's state and no session.

Formats: `json`, one of three shapes (a batch `{"t0", "rate", "xyz"}`, columns `{"t", "x", "y", "z"}` of lists, one
sample of numbers), and `csv`, lines `t,x,y,z`. The format is set, or named by the MQTT 5 content type; never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import msgspec
import numpy as np

from hard.errors import HardError
from hard.records import Float64Array, Message, Samples
from hard.units import TIME_UNITS, UNITS

CONTENT_TYPES = {"application/json": "json", "text/csv": "csv"}
EARLIEST, LATEST = 946_684_800.0, 4_102_444_800.0  # 2000 and 2100 in Unix s
MAX_DEVICE_CHARS = 128


class PayloadError(HardError):
    """A message that can't be decoded; `reason` is one of few words, for a counter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Shape(msgspec.Struct):
    """Any of the three JSON shapes; which one follows from the fields that are there."""

    t0: float | None = None
    rate: float | None = None
    xyz: list[tuple[float, float, float]] | None = None
    t: float | list[float] | None = None
    x: float | list[float] | None = None
    y: float | list[float] | None = None
    z: float | list[float] | None = None


def usable(device: str) -> bool:
    """Whether `device` can be the name of a device: one topic level, not one of HARD's own."""
    return 0 < len(device) <= MAX_DEVICE_CHARS and device[0] != "@" and not set(device) & set("+#/\0")


@dataclass(frozen=True, slots=True)
class Topics:
    """Incoming topic patterns, each with `{device}` as one level."""

    patterns: Sequence[str]

    def filters(self) -> list[str]:
        """MQTT topic filters to subscribe to."""
        return [pattern.replace("{device}", "+") for pattern in self.patterns]

    def matcher(self) -> re.Pattern[str]:
        """Matches a topic; the group that isn't None is the device. A `$share/group/` is not part of a topic."""
        return re.compile("|".join(_topic_regex(pattern) for pattern in self.patterns))


def _topic_regex(pattern: str) -> str:
    levels = pattern.split("/")
    if levels[0] == "$share":
        levels = levels[2:]
    parts = {"{device}": "([^/]+)", "+": "[^/]*"}
    regex = "/".join(parts.get(level, re.escape(level)) for level in levels if level != "#")
    return f"{regex}(?:/.*)?$" if levels[-1] == "#" else f"{regex}$"


@lru_cache(maxsize=64)
def _offsets(samples: int, rate_hz: float) -> Float64Array:
    return np.asarray(np.arange(samples) / rate_hz)


class Decoder:
    """Decodes messages of the configured topics, format and units. Keeps nothing between messages."""

    def __init__(
        self, topics: Sequence[str], *, format: str = "json", unit: str = "m/s2", time_unit: str = "s",  # noqa: A002
        max_payload_bytes: int = 65_536, max_rate_hz: float = 1000.0,
    ) -> None:  # fmt: skip
        self._matcher = Topics(topics).matcher()
        self._format, self._scale, self._units_per_s = format, UNITS[unit], TIME_UNITS[time_unit]
        self._time_unit = time_unit
        self._max_bytes, self._max_rate_hz = max_payload_bytes, max_rate_hz
        self._json = msgspec.json.Decoder(Shape)

    def decode(self, message: Message) -> Samples:
        """The samples of `message`, in m/s² and device Unix s. Raises PayloadError."""
        if len(message.payload) > self._max_bytes:
            raise PayloadError("oversized", f"{len(message.payload)} bytes, at most {self._max_bytes}")
        device = self._device(message.topic)
        kind = self._format
        if message.content_type:
            kind = CONTENT_TYPES.get(message.content_type.partition(";")[0].strip().lower(), "")
            if not kind:
                raise PayloadError("content_type", f"content type {message.content_type[:40]!r} is not known")
        time, xyz, rate = self._decode_csv(message.payload) if kind == "csv" else self._decode_json(message.payload)
        if not len(xyz):
            raise PayloadError("empty", "no samples")
        if self._scale != 1.0:
            xyz = xyz * self._scale
        if not np.logical_and.reduce(np.isfinite(xyz), axis=None):
            raise PayloadError("not_finite", "an acceleration is not finite")
        if time is not None and not (time.min() >= EARLIEST and time.max() < LATEST):
            raise PayloadError("time_unit", f"times in {self._time_unit} must lie between the years 2000 and 2100")
        return Samples(device, time, xyz, message.received_at, message.received_wall, rate)

    def _device(self, topic: str) -> str:
        match = self._matcher.match(topic)
        device = next((group for group in match.groups() if group is not None), "") if match else ""
        if not usable(device):
            raise PayloadError("topic", f"topic {topic[:80]!r} names no device")
        return device

    def _decode_json(self, payload: bytes) -> tuple[Float64Array | None, Float64Array, float | None]:
        try:
            shape = self._json.decode(payload)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            reason = "fields" if isinstance(error, msgspec.ValidationError) else "json"
            raise PayloadError(reason, str(error)) from error
        columns = (shape.x, shape.y, shape.z)
        if shape.xyz is not None:
            if (shape.t, *columns) != (None,) * 4:
                raise PayloadError("fields", "t, x, y or z beside xyz: a batch has t0 and rate")
            return self._batch(shape)
        if shape.t0 is not None:
            raise PayloadError("fields", "t0 without xyz: x, y and z have t")
        if any(column is None for column in columns):
            raise PayloadError("fields", "neither xyz nor x, y and z")
        single = [isinstance(column, float) for column in columns]
        if any(single) != all(single) or (shape.t is not None and isinstance(shape.t, float) != single[0]):
            raise PayloadError("fields", "t, x, y and z must be all numbers or all lists")
        lists = [[column] if isinstance(column, float) else column or [] for column in columns]
        times = [shape.t] if isinstance(shape.t, float) else shape.t
        if len({len(values) for values in (*lists, *([times] if times is not None else []))}) != 1:
            raise PayloadError("fields", "t, x, y and z differ in length")
        time = None if times is None else np.array(times, dtype=float) / self._units_per_s
        return time, np.array(lists, dtype=float).T, self._rate(shape.rate)

    def _batch(self, shape: Shape) -> tuple[Float64Array | None, Float64Array, float | None]:
        """A batch begins at `t0` and is spaced by `rate`; without `t0` it ends at the time of arrival."""
        xyz = np.fromiter(chain.from_iterable(shape.xyz or ()), dtype=float).reshape(-1, 3)
        rate = self._rate(shape.rate)
        if shape.t0 is None:
            return None, xyz, rate
        if rate is None:
            raise PayloadError("fields", "a batch with t0 needs its rate")
        return shape.t0 / self._units_per_s + _offsets(len(xyz), rate), xyz, rate

    def _rate(self, rate: float | None) -> float | None:
        if rate is not None and not 0 < rate <= self._max_rate_hz:
            raise PayloadError("rate", f"a rate of {rate:g} Hz, must be above 0 and at most {self._max_rate_hz:g}")
        return rate

    def _decode_csv(self, payload: bytes) -> tuple[Float64Array | None, Float64Array, float | None]:
        try:
            rows = [
                [float(field) for field in line.split(",")]
                for line in payload.decode("ascii").splitlines()
                if line.strip()
            ]
        except (ValueError, UnicodeDecodeError) as error:
            raise PayloadError("csv", f"not lines of t,x,y,z: {str(error)[:80]}") from error
        if any(len(row) != 4 for row in rows):
            raise PayloadError("csv", "a line does not have the four fields t,x,y,z")
        table = np.array(rows, dtype=float).reshape(-1, 4)
        return table[:, 0] / self._units_per_s, table[:, 1:], None
