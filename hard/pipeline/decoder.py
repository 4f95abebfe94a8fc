"""MQTT messages → `Samples`: finds the device, its rules and its format, applies units, clocks, axes and limits.

The format is set, or named by the MQTT 5 content type; never guessed. A bad sample costs itself, not its message.
"""

from __future__ import annotations

import logging
import re
import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hard.formats.formats import BY_CONTENT_TYPE, PayloadFormat, Read
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.pipeline.sender_rules import Axes, SenderRules, Senders
from hard.records import Float64Array, Message, Samples
from hard.units import TIME_UNITS, UNITS

log = logging.getLogger(__name__)
EARLIEST, LATEST = 946_684_800.0, 4_102_444_800.0  # 2000 and 2100 in Unix s
LIKELY = 1_420_070_400.0  # 2015: no device sends an earlier time on purpose
TOO_LARGE = 1e15  # in any unit: counts as infinite, so that no later sum or square overflows
GZIP = b"\x1f\x8b\x08"  # RFC 1952, with its one method
MAX_LOOKED_AT = 10_000  # devices whose messages without time were looked at
_OTHER_TIME = re.compile(rb'"(timestamp\w*|time\w*|ts|date\w*|utc|millis)"\s*:\s*["\d]', re.IGNORECASE)


@lru_cache(maxsize=64)
def _offsets(samples: int, rate_hz: float) -> Float64Array:
    return np.asarray(np.arange(samples) / rate_hz)


class Decoder:
    """Decodes messages under the rules of their senders. Between messages it only keeps what it found once."""

    def __init__(self, senders: Senders, *, max_payload_bytes: int, max_rate_hz: float) -> None:
        self._senders, self._max_bytes, self._max_rate_hz = senders, max_payload_bytes, max_rate_hz
        self._looked_at: set[str] = set()

    def change(self, senders: Senders) -> None:
        """The rules from the next message on; from any thread."""
        self._senders = senders

    def decode(self, message: Message) -> Samples:
        """The samples of `message`, in m/s² and s of the device's clock. Raises PayloadError."""
        if len(message.payload) > self._max_bytes:
            size = len(message.payload)
            raise PayloadError("oversized", f"{size} bytes, more than {self._max_bytes} (ingest.max_payload_bytes)")
        senders = self._senders
        device, rules = senders.by_topic(message.topic)
        try:
            format_, read = rules.format, rules.read
            if message.content_type:
                format_, read = _by_content_type(message.content_type, rules)
            payload = message.payload
            if payload[:3] == GZIP and format_.may_be_gzip:
                payload = self._unpacked(payload)
            raw = read(payload)
            if device is None:
                device, rules = senders.by_name(raw.device, rules)
            return self._samples(device, rules, raw, message)
        except PayloadError as error:
            error.device = device
            raise

    def _samples(self, device: str, rules: SenderRules, raw: RawSamples, message: Message) -> Samples:
        xyz, rate = raw.xyz, raw.rate_hz if rules.rate_hz is None else rules.rate_hz
        if rate is not None and not 0 < rate <= self._max_rate_hz:
            raise PayloadError("rate", f"a rate of {rate:g} Hz, must be above 0 and at most {self._max_rate_hz:g}")
        if not len(xyz):
            raise PayloadError("empty", "no samples")
        time = _times(rules, raw, rate)
        if time is None and rules.clock == "unix" and device not in self._looked_at:
            self._look_for_time(device, rules, message.payload)
        uptime = time is not None and (raw.uptime or rules.clock == "uptime")
        earliest = 0.0 if uptime else EARLIEST
        invalid: tuple[tuple[str, int], ...] = ()
        if not np.maximum.reduce(np.abs(xyz), axis=None) < TOO_LARGE or (  # true for NaN too
            time is not None and not (time.min() >= earliest and time.max() < LATEST)
        ):
            usable, invalid = _usable(xyz, time, earliest, raw.time_unit or rules.time_unit)
            xyz, time = xyz[usable], time if time is None else time[usable]
        ms2 = rules.ms2_per_unit if raw.unit is None or rules.scaled else UNITS[raw.unit]
        if ms2 != 1.0:
            xyz = xyz * ms2
        if rules.axes is not None:
            xyz = _turned(xyz, rules.axes)
        received = message.received_at, message.received_wall
        return Samples(device, time, xyz, *received, rate, rules.place, uptime, invalid, ms2)

    def _unpacked(self, payload: bytes) -> bytes:
        try:
            unpacker = zlib.decompressobj(wbits=31)
            unpacked = unpacker.decompress(payload, self._max_bytes + 1)
        except zlib.error as error:
            raise PayloadError("gzip", "begins as gzip does and can't be unpacked") from error
        if len(unpacked) > self._max_bytes:
            raise PayloadError("oversized", f"more than {self._max_bytes} bytes unpacked (ingest.max_payload_bytes)")
        if not unpacker.eof:
            raise PayloadError("gzip", "begins as gzip does and ends too early")
        return unpacked

    def _look_for_time(self, device: str, rules: SenderRules, payload: bytes) -> None:
        """Says once for each device that a time under a name which HARD doesn't read is passed over."""
        if len(self._looked_at) >= MAX_LOOKED_AT:
            self._looked_at.clear()
        self._looked_at.add(device)
        if rules.format.name == "json" and (field := _OTHER_TIME.search(payload)):
            log.warning(
                "%.80s sends neither t0 nor t, so its samples get the time of arrival; a mapping can read the time in "
                "its field %r", device, field[1].decode("ascii", "replace"),
            )  # fmt: skip


def _times(rules: SenderRules, raw: RawSamples, rate: float | None) -> Float64Array | None:
    """Times (N,) in s, or None where the time of arrival counts. Raises PayloadError."""
    time, t0, stated = raw.time, raw.t0, raw.time_unit
    if (time is None and t0 is None) or rules.clock == "arrival":
        return None
    per_s = rules.units_per_s if stated is None else TIME_UNITS[stated]
    if time is not None:
        time = time if per_s == 1.0 else time / per_s
    elif rate is None or t0 is None:
        raise PayloadError("fields", "a batch with t0 needs its rate: send rate, or set ingest.rate_hz")
    else:
        time = t0 / per_s + _offsets(len(raw.xyz), rate)
    return time + rules.epoch_s if rules.epoch_s and stated is None and rules.clock == "unix" else time


def _turned(xyz: Float64Array, axes: Axes) -> Float64Array:
    order, signs = axes
    return np.asarray(xyz[:, order] * signs)


def _usable(
    xyz: Float64Array, time: Float64Array | None, earliest: float, unit: str
) -> tuple[NDArray[np.bool_], tuple[tuple[str, int], ...]]:
    """Which samples (N,) can be used, and how many can't, by reason. Raises PayloadError where none can."""
    finite = (np.abs(xyz) < TOO_LARGE).all(axis=1)
    if not finite.any():
        raise PayloadError("not_finite", "no sample has three finite accelerations")
    timed = np.ones(len(xyz), dtype=bool) if time is None else (time >= earliest) & (time < LATEST)
    if not timed.any():
        since = "positive, since boot or start" if not earliest else "between the years 2000 and 2100"
        setting = None if time is None else _setting_for(float(time[0]) * TIME_UNITS[unit])
        hint = "" if setting else ": see ingest.time_unit, ingest.clock and ingest.epoch"
        raise PayloadError("time_unit", f"times in {unit} must be {since}{hint}", setting)
    usable = finite & timed
    if not usable.any():
        raise PayloadError("not_finite", "no sample has both a time and three finite accelerations")
    counts = ("not_finite", int((~finite).sum())), ("time", int((finite & ~timed).sum()))
    return usable, tuple((reason, n) for reason, n in counts if n)


def _setting_for(time: float) -> str | None:
    """The setting that makes a likely time of `time`, which is as the device sent it; None where none does."""
    for unit, per_s in TIME_UNITS.items():
        if LIKELY <= time / per_s < LATEST:
            return f"ingest.time_unit={unit}"
    if LIKELY <= time + EARLIEST < LATEST:
        return "ingest.epoch=2000"
    return "ingest.clock=uptime" if time >= 0 else None


def _by_content_type(content_type: str, rules: SenderRules) -> tuple[PayloadFormat, Read]:
    """The sender's own format where it may have that content type, else the one that the content type means."""
    kind, own = content_type.partition(";")[0].strip().lower(), rules.format
    if kind in own.content_types or kind in own.may_come_as:
        return own, rules.read
    named = BY_CONTENT_TYPE.get(kind)
    if named is None:
        raise PayloadError("content_type", f"content type {content_type[:40]!r} is not known")
    if (read := named.read or rules.mapped) is None:
        raise PayloadError("content_type", f"content type {content_type[:40]!r} needs ingest.mapping")
    return named, read
