"""MQTT messages → `Samples`: finds the device in the topic, chooses the format, applies units and limits.

The format is set, or named by the MQTT 5 content type; never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from hard.formats.formats import BY_CONTENT_TYPE, BY_NAME
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.formats.topics import Topics, is_device_name
from hard.records import Float64Array, Message, Samples
from hard.units import TIME_UNITS, UNITS

EARLIEST, LATEST = 946_684_800.0, 4_102_444_800.0  # 2000 and 2100 in Unix s


@lru_cache(maxsize=64)
def _offsets(samples: int, rate_hz: float) -> Float64Array:
    return np.asarray(np.arange(samples) / rate_hz)


class Decoder:
    """Decodes messages of the configured topics, format and units. Keeps nothing between messages."""

    def __init__(
        self, topics: Sequence[str], *, format: str, unit: str, time_unit: str,  # noqa: A002
        max_payload_bytes: int, max_rate_hz: float,
    ) -> None:  # fmt: skip
        self._topic_regex, self._read = Topics(topics).regex(), BY_NAME[format]
        self._scale, self._units_per_s, self._time_unit = UNITS[unit], TIME_UNITS[time_unit], time_unit
        self._max_bytes, self._max_rate_hz = max_payload_bytes, max_rate_hz

    def decode(self, message: Message) -> Samples:
        """The samples of `message`, in m/s² and device Unix s. Raises PayloadError."""
        if len(message.payload) > self._max_bytes:
            raise PayloadError("oversized", f"{len(message.payload)} bytes, at most {self._max_bytes}")
        device = self._device(message.topic)
        read = _by_content_type(message.content_type) if message.content_type else self._read
        xyz, time, t0, rate = read(message.payload)
        if rate is not None and not 0 < rate <= self._max_rate_hz:
            raise PayloadError("rate", f"a rate of {rate:g} Hz, must be above 0 and at most {self._max_rate_hz:g}")
        if not len(xyz):
            raise PayloadError("empty", "no samples")
        if self._scale != 1.0:
            xyz = xyz * self._scale
        if not np.logical_and.reduce(np.isfinite(xyz), axis=None):
            raise PayloadError("not_finite", "an acceleration is not finite")
        if time is not None:
            time = time / self._units_per_s
        elif t0 is not None and rate is not None:
            time = t0 / self._units_per_s + _offsets(len(xyz), rate)
        if time is not None and not (time.min() >= EARLIEST and time.max() < LATEST):
            raise PayloadError("time_unit", f"times in {self._time_unit} must lie between the years 2000 and 2100")
        return Samples(device, time, xyz, message.received_at, message.received_wall, rate)

    def _device(self, topic: str) -> str:
        match = self._topic_regex.match(topic)
        device = next((group for group in match.groups() if group is not None), "") if match else ""
        if not is_device_name(device):
            raise PayloadError("topic", f"topic {topic[:80]!r} names no device")
        return device


def _by_content_type(content_type: str) -> Callable[[bytes], RawSamples]:
    read = BY_CONTENT_TYPE.get(content_type.partition(";")[0].strip().lower())
    if read is None:
        raise PayloadError("content_type", f"content type {content_type[:40]!r} is not known")
    return read
