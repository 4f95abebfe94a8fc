"""HARD's own shapes, whatever they are encoded in: a batch `{"t0", "rate", "xyz"}`, columns `{"t", "x", "y", "z"}` of
lists, one sample with a number in each of `t`, `x`, `y` and `z`, or a list of such samples. `device` may name the
sender.
"""

from __future__ import annotations

from itertools import chain

import msgspec
import numpy as np

from hard.formats import values
from hard.formats.raw_samples import PayloadError, RawSamples


class Fields(msgspec.Struct):
    """The fields of all shapes but the list; which shape it is follows from the fields that are there. Of numbers
    alone, as most senders write them: `loosely` reads the others."""

    t0: float | None = None
    rate: float | None = None
    xyz: list[tuple[float, float, float]] | None = None
    t: float | list[float] | None = None
    x: float | list[float] | None = None
    y: float | list[float] | None = None
    z: float | list[float] | None = None
    device: str | None = None


def samples(fields: Fields) -> RawSamples:
    """The samples of a document. Raises PayloadError."""
    return _columns(fields) if fields.xyz is None else _batch(fields, fields.xyz)


def loosely(document: object) -> RawSamples:
    """The samples of any document of these shapes: numbers may be texts, times may be dates, a sample that isn't three
    numbers is NaN. Raises PayloadError."""
    if isinstance(document, list):
        return _list(document)
    if not isinstance(document, dict):
        raise PayloadError("fields", "neither an object nor a list of objects")
    xyz, unit = document.get("xyz"), None
    if xyz is not None and not isinstance(xyz, list | tuple):
        raise PayloadError("fields", "xyz is not a list of samples")
    fields = Fields(rate=_number(document.get("rate")), device=values.name(document.get("device")))
    for key in ("t0", "t"):
        value = document.get(key)
        if isinstance(value, list | tuple):
            found, unit = values.times(value)
            setattr(fields, key, found.tolist())
        elif value is not None:
            found, unit = values.times([value])
            setattr(fields, key, float(found[0]))
    if isinstance(fields.t0, list):
        raise PayloadError("fields", "t0 is a list: it is the time of the first sample")
    for key in ("x", "y", "z"):
        value = document.get(key)
        column = [values.number(v) for v in value] if isinstance(value, list | tuple) else _number(value)
        setattr(fields, key, column)
    if xyz is not None:
        fields.xyz = [tuple(row) for row in values.triples(xyz).tolist()]
    return samples(fields)._replace(time_unit=unit)


def _number(value: object) -> float | None:
    return None if value is None else values.number(value)


def _list(document: list[object]) -> RawSamples:
    """Objects with `x`, `y`, `z` and all or none with `t`."""
    rows = [row if isinstance(row, dict) else {} for row in document]
    if document and not any({*"xyz"} <= row.keys() for row in rows):
        raise PayloadError("fields", "a list, but not of objects with t, x, y and z")
    xyz = values.triples(rows)
    device = next((name for row in rows if (name := values.name(row.get("device")))), None)
    if all(row.get("t") is None for row in rows):
        return RawSamples(xyz, device=device)
    time, unit = values.times([row.get("t") for row in rows])
    return RawSamples(xyz, time, device=device, time_unit=unit)


def _batch(fields: Fields, xyz: list[tuple[float, float, float]]) -> RawSamples:
    if (fields.t, fields.x, fields.y, fields.z) != (None,) * 4:
        raise PayloadError("fields", "t, x, y or z beside xyz: a batch has t0 and rate")
    array = np.fromiter(chain.from_iterable(xyz), dtype=float).reshape(-1, 3)
    return RawSamples(array, None, fields.t0, fields.rate, fields.device)


def _columns(fields: Fields) -> RawSamples:
    """Columns of lists, and one sample as columns of one."""
    columns = (fields.x, fields.y, fields.z)
    if fields.t0 is not None:
        raise PayloadError("fields", "t0 without xyz: x, y and z have t")
    if any(column is None for column in columns):
        raise PayloadError("fields", "neither xyz nor x, y and z")
    single = [isinstance(column, float) for column in columns]
    if any(single) != all(single) or (fields.t is not None and isinstance(fields.t, float) != single[0]):
        raise PayloadError("fields", "t, x, y and z must be all numbers or all lists")
    lists = [[column] if isinstance(column, float) else column or [] for column in columns]
    times = [fields.t] if isinstance(fields.t, float) else fields.t
    if len({len(column) for column in (*lists, *([times] if times is not None else []))}) != 1:
        raise PayloadError("fields", "t, x, y and z differ in length")
    time = None if times is None else np.array(times, dtype=float)
    return RawSamples(np.array(lists, dtype=float).T, time, None, fields.rate, fields.device)
