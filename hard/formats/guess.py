"""Payloads of an unknown sender → the format that reads them, by trying each. It only advises: the daemon never
guesses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hard.formats import cbor, csv_lines, documents, int16, messagepack, native_json, phyphox, senml, sensor_logger
from hard.formats.mapping import compile_mapping
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.formats.ready_made import READY_MADE

Mapping = str | dict[str, object]
Read = Callable[[bytes], RawSamples]
ENOUGH = 0.8  # of the payloads
TRIED = 20
SENDERS: tuple[tuple[str, Mapping | None, Read], ...] = (
    ("sensorlogger", None, sensor_logger.read), ("json", None, native_json.read), ("phyphox", None, phyphox.read),
    ("senml", None, senml.read), *(("mapping", name, read) for name, read in READY_MADE.items()),
    ("csv", None, csv_lines.read), ("msgpack", None, messagepack.read),
)  # fmt: skip
# Names of what a document holds, in lower case. Not meant are gyroscopes and accelerations without gravity.
AXIS = re.compile(r"(?:raw|total)?_?(?:a|acc|accel|acceleration|accelerometer)?_?([xyz])")
TIMES = ("t", "t0", "time", "timestamp", "ts", "unixtime", "datetime", "date", "utc", "millis", "uptime", "ms", "us")
RATES = ("rate", "rate_hz", "fs", "hz", "freq", "frequency", "samplerate", "sample_rate", "sampling_rate", "odr")
DEVICES = ("device", "deviceid", "device_id", "devid", "dev", "node", "sensor_id", "mac", "id", "name")
NOT_MEANT = re.compile(r"gyr|mag|lin|user|rot|grav", re.IGNORECASE)
LARGEST_COUNT = 32_767


@dataclass(frozen=True, slots=True)
class Guess:
    """A format by its name in `ingest.format`, the mapping where it is one, and the payloads that it reads, by their
    index. `no_gravity` says that the sender took gravity out by its own word."""

    format: str
    mapping: Mapping | None
    read: dict[int, RawSamples]
    no_gravity: bool = False


def guess(payloads: Sequence[bytes], known: Read | None = None) -> Guess | None:
    """The format of `payloads`; an empty name where the `known` one reads them. None where nothing does."""
    some = payloads[:: max(1, len(payloads) // TRIED)]
    found = _tried("", None, known, some) if known is not None else None
    if known and found and not (known is native_json.read and _has_other_time(some, found)):
        return _all(found, known, payloads)
    candidates = [*SENDERS, *([("cbor", None, cbor.read)] if cbor.is_installed() else [])]
    for name, mapping, read in candidates:
        if (found := _tried(name, mapping, read, some)) and not (name == "json" and _has_other_time(some, found)):
            return _all(found, read, payloads)
    for paths in _mappings(some):
        read = compile_mapping(paths)
        if found := _tried("mapping", paths, read, some):
            return _all(found, read, payloads)
    if found := _tried("json", None, native_json.read, some):  # with a time that it passes over
        return _all(found, native_json.read, payloads)
    if _is_binary(some) and (found := _tried("int16", None, int16.read, some)):
        return _all(found, int16.read, payloads)
    return None


def _tried(name: str, mapping: Mapping | None, read: Read, payloads: Sequence[bytes]) -> Guess | None:
    """The guess where `read` takes enough of `payloads`."""
    taken, refused, other, no_gravity = {}, 0, 0, 0
    for i, payload in enumerate(payloads):
        try:
            raw = read(payload)
        except PayloadError as error:
            other += error.reason == "other_sensor"
            no_gravity += error.reason == "no_gravity"
            refused += 1
            continue
        if len(raw.xyz) and np.isfinite(raw.xyz).all(axis=1).mean() >= ENOUGH / 2:
            taken[i] = raw
    if no_gravity >= ENOUGH * len(payloads):
        return Guess(name, mapping, {}, no_gravity=True)
    return Guess(name, mapping, taken) if taken and len(taken) >= ENOUGH * (len(payloads) - other) else None


def _all(found: Guess, read: Read, payloads: Sequence[bytes]) -> Guess:
    """The same guess with all payloads that it reads."""
    taken = {}
    for i, payload in enumerate(payloads):
        try:
            taken[i] = read(payload)
        except PayloadError:
            continue
    return Guess(found.format, found.mapping, taken, found.no_gravity)


def _has_other_time(payloads: Sequence[bytes], found: Guess) -> bool:
    """Whether HARD's own shape is there without a time, and a time under another name."""
    return all(raw.time is None and raw.t0 is None for raw in found.read.values()) and any(
        "t" in paths for paths in _mappings(payloads)
    )


def _is_binary(payloads: Sequence[bytes]) -> bool:
    return all(len(payload) % 6 == 0 and len(payload) for payload in payloads) and not all(
        payload.isascii() for payload in payloads
    )


def _mappings(payloads: Sequence[bytes]) -> Iterator[dict[str, object]]:
    """Paths that may lead to samples in such documents."""
    for payload in payloads[:3]:
        try:
            document = documents.parse(payload)
        except PayloadError:
            continue
        yield from _paths(document, document, "$")


def _paths(value: object, root: object, at: str) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        axes = _axes(value)
        if len(axes) == 3:
            yield {axis: f"{at}{_step(name)}" for axis, name in axes.items()} | _beside(value, root, at)
        for name, inner in value.items():
            if not NOT_MEANT.search(str(name)):
                yield from _paths(inner, root, f"{at}{_step(name)}")
    elif isinstance(value, list) and value:
        if _is_triple(value):
            yield {axis: f"{at}[{i}]" for i, axis in enumerate("xyz")} | _beside({}, root, at)
        elif isinstance(value[0], dict) and len(axes := _axes(value[0])) == 3:
            times = _named(value[0], TIMES)
            own: dict[str, object] = {"t": f"${_step(times[0])}"} if times else {}
            yield (
                {"samples": at} | {axis: f"${_step(name)}" for axis, name in axes.items()} | _beside({}, root, at) | own
            )
        elif _is_triple(value[0]):
            yield {"samples": at} | {axis: f"[{i}]" for i, axis in enumerate("xyz")} | _beside({}, root, at)


def _axes(value: dict[object, object]) -> dict[str, str]:
    """Which of the names of an object are x, y and z."""
    found: dict[str, str] = {}
    for name, inner in value.items():
        axis = AXIS.fullmatch(str(name).lower())
        if axis and isinstance(inner, int | float | str | list) and not isinstance(inner, bool):
            found.setdefault(axis[1], str(name))
    return found


def _beside(own: dict[object, object], root: object, at: str) -> dict[str, object]:
    """Time, rate and device: of the same object, else of the whole document."""
    found: dict[str, object] = {}
    for value, where in ((root if isinstance(root, dict) else {}, "$"), (own, at)):
        for key, names in (("t", TIMES), ("rate", RATES), ("device", DEVICES)):
            for name in _named(value, names)[:1]:
                found[key] = f"{where}{_step(name)}"
    return found


def _named(value: dict[object, object], names: Sequence[str]) -> list[str]:
    """The names in an object that are of `names`, the likeliest first."""
    held = {
        str(name).lower(): str(name) for name, inner in value.items() if isinstance(inner, int | float | str | list)
    }
    return [held[name] for name in names if name in held]


def _is_triple(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    )


def _step(name: object) -> str:
    return f".{name}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)) else f"['{name}']"
