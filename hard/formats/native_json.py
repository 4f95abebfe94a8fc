"""Native JSON, in one of three shapes: a batch `{"t0", "rate", "xyz"}`, columns `{"t", "x", "y", "z"}` of lists, or one
sample with a number in each of `t`, `x`, `y` and `z`. `read` takes all of them; `write` makes the first two.
"""

from __future__ import annotations

from itertools import chain

import msgspec
import numpy as np

from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

GRID_TOLERANCE_S = 5e-5  # times that lie so close to an even grid are written as a grid


class Fields(msgspec.Struct):
    """The fields of all three shapes; which shape it is follows from the fields that are there."""

    t0: float | None = None
    rate: float | None = None
    xyz: list[tuple[float, float, float]] | None = None
    t: float | list[float] | None = None
    x: float | list[float] | None = None
    y: float | list[float] | None = None
    z: float | list[float] | None = None


_decode = msgspec.json.Decoder(Fields).decode


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError."""
    try:
        fields = _decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        reason = "fields" if isinstance(error, msgspec.ValidationError) else "json"
        raise PayloadError(reason, str(error)) from error
    return _columns(fields) if fields.xyz is None else _batch(fields.xyz, fields)


def write(time_s: Float64Array, xyz: Float64Array, rate_hz: float) -> bytes:
    """One message of samples: a batch where the times are regular, else columns."""
    values = xyz.round(5)
    even = time_s[0] + np.arange(len(time_s)) / rate_hz
    if np.abs(time_s - even).max() <= GRID_TOLERANCE_S:
        return msgspec.json.encode({"t0": round(float(time_s[0]), 6), "rate": rate_hz, "xyz": values.tolist()})
    columns = dict(zip("xyz", values.T.tolist(), strict=True))
    return msgspec.json.encode({"t": time_s.round(6).tolist(), **columns})


def _batch(xyz: list[tuple[float, float, float]], fields: Fields) -> RawSamples:
    if (fields.t, fields.x, fields.y, fields.z) != (None,) * 4:
        raise PayloadError("fields", "t, x, y or z beside xyz: a batch has t0 and rate")
    if fields.t0 is not None and fields.rate is None:
        raise PayloadError("fields", "a batch with t0 needs its rate")
    values = np.fromiter(chain.from_iterable(xyz), dtype=float).reshape(-1, 3)
    return RawSamples(values, None, fields.t0, fields.rate)


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
    if len({len(values) for values in (*lists, *([times] if times is not None else []))}) != 1:
        raise PayloadError("fields", "t, x, y and z differ in length")
    time = None if times is None else np.array(times, dtype=float)
    return RawSamples(np.array(lists, dtype=float).T, time, None, fields.rate)
