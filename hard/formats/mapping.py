"""JSON or CBOR of any shape, by paths (`ingest.mapping`) that are compiled once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hard.formats import documents, values
from hard.formats.paths import MISSING, Path, compile_path
from hard.formats.raw_samples import PayloadError, RawSamples

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_CONDITION = re.compile(r"\s*(\S.*?)\s*==?\s*(.*?)\s*")

Condition = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class MappedPaths:
    """Where things are. Without `samples` the payload is one sample, or x, y and z are columns. With it, every path
    leads from a sample, or else from the payload. A message, or a sample, for which a `where` doesn't hold is another
    sensor's."""

    x: Path
    y: Path
    z: Path
    t: Path | None = None
    device: Path | None = None
    samples: Path | None = None
    rate: Path | None = None
    where: tuple[Condition, ...] = ()

    def read(self, payload: bytes) -> RawSamples:
        """The samples of a payload. Raises PayloadError."""
        root = documents.parse(payload)
        entries = [root] if self.samples is None else self.samples.find(root)
        if not isinstance(entries, list):
            raise PayloadError("fields", f"ingest.mapping: {_text(self.samples)} (samples) leads to no list")
        ours = [entry for entry in entries if self._is_ours(entry, root)] if self.where else entries
        if entries and not ours:
            raise PayloadError("other_sensor", "a message for which `where` of ingest.mapping doesn't hold")
        columns = [[_look(path, entry, root) for entry in ours] for path in (self.x, self.y, self.z)]
        for path, column in zip((self.x, self.y, self.z), columns, strict=True):
            if ours and all(value is MISSING for value in column):
                raise PayloadError("fields", f"ingest.mapping: nothing is at {path.text}")
        time, t0 = self._times(ours, root)
        if self.samples is None and isinstance(columns[0][0], list):
            columns = [column[0] if isinstance(column[0], list) else [] for column in columns]
            if len({len(column) for column in (*columns, *([time] if time is not None else []))}) != 1:
                raise PayloadError("fields", "ingest.mapping: x, y, z and t differ in length")
        xyz = values.triples(list(zip(*columns, strict=True)))
        rate_hz, device = self._rate_hz(root), self._device(ours, root)
        if time is not None:
            found, unit = values.times(time)
            return RawSamples(xyz, found, None, rate_hz, device, unit)
        if t0 is not MISSING:
            found, unit = values.times([t0])
            if len(xyz) == 1:
                return RawSamples(xyz, found, None, rate_hz, device, unit)
            return RawSamples(xyz, None, float(found[0]), rate_hz, device, unit)
        return RawSamples(xyz, None, None, rate_hz, device)

    def _is_ours(self, entry: object, root: object) -> bool:
        return all(_same(_look(path, entry, root), wanted) for path, wanted in self.where)

    def _times(self, entries: list[object], root: object) -> tuple[list[object] | None, object]:
        """A time for each sample, or else that of the first, or MISSING."""
        if self.t is None:
            return None, MISSING
        if self.samples is not None:
            own = [self.t.find(entry) for entry in entries]
            if any(time is not MISSING for time in own):
                return own, MISSING
        time = self.t.find(root)
        return (time, MISSING) if isinstance(time, list) else (None, MISSING if time is None else time)

    def _rate_hz(self, root: object) -> float | None:
        """A number, or the last number in a text."""
        rate = MISSING if self.rate is None else self.rate.find(root)
        if isinstance(rate, str):
            numbers = _NUMBER.findall(rate)
            rate = numbers[-1] if numbers else MISSING
        return None if rate is MISSING or rate is None else values.number(rate)

    def _device(self, entries: list[object], root: object) -> str | None:
        return values.name(_look(self.device, entries[0], root)) if self.device and entries else None


def compile_mapping(paths: Mapping[str, object]) -> Callable[[bytes], RawSamples]:
    """What reads payloads by `paths` of x, y, z and, where wanted, t, device, samples, rate, and `where`: `PATH ==
    VALUE` or a table of them. Raises ValueError."""
    known = {name: compile_path(str(path)) for name, path in paths.items() if name != "where" and path is not None}
    return MappedPaths(**known, where=_conditions(paths.get("where"))).read


def _conditions(where: object) -> tuple[Condition, ...]:
    if isinstance(where, str):
        found = _CONDITION.fullmatch(where)
        if found is None:
            raise ValueError(f"where: {where!r} is not of the form PATH == VALUE")
        return ((compile_path(found[1]), found[2].strip("'\"")),)
    pairs = where.items() if isinstance(where, Mapping) else ()
    return tuple((compile_path(str(path)), _plain(wanted)) for path, wanted in pairs)


def _same(value: object, wanted: str) -> bool:
    return value is not MISSING and _plain(value) == wanted


def _plain(value: object) -> str:
    """A value as people write it in a setting."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _look(path: Path, entry: object, root: object) -> object:
    found = path.find(entry)
    return path.find(root) if found is MISSING and entry is not root else found


def _text(path: Path | None) -> str:
    return path.text if path else "$"
