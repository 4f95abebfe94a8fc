"""The app phyphox (mqtt/json): an array for each buffer of the experiment, such as `{"accX", "accY", "accZ",
"acc_time"}`, in m/s² and s since its start; where it sends `time`, its events say when that was.
"""

from __future__ import annotations

import msgspec
import numpy as np

from hard.formats import json_text, values
from hard.formats.raw_samples import PayloadError, RawSamples
from hard.records import Float64Array

TIMES = ("t", "acc_time", "acct", "acc_t", "time")


def read(payload: bytes) -> RawSamples:
    """The samples of a payload. Raises PayloadError; with the reason `no_gravity` where gravity was taken out."""
    document = json_text.parse(payload)
    if not isinstance(document, dict):
        raise PayloadError("fields", "not a message of phyphox: it is no object of buffers")
    buffers = {str(name).lower(): value for name, value in document.items() if isinstance(value, list)}
    found = [_buffer(buffers, axis) for axis in "xyz"]
    if any(one is None for one in found):
        if any(name.startswith("lin") for name in buffers):
            raise PayloadError("no_gravity", "accelerations without gravity: use an experiment with g")
        raise PayloadError("fields", "no buffers of x, y and z, such as accX, accY and accZ")
    time = next((buffers[name] for name in TIMES if name in buffers), None)
    columns = [*(one for one in found if one is not None), *([] if time is None else [time])]
    length = min(map(len, columns))  # a buffer may have grown while it was sent
    table = np.array([[values.number(value) for value in column[:length]] for column in columns], dtype=float)
    if time is None:
        return RawSamples(table.T)
    start = _start_s(document.get("time"))
    since = table[3] if start is None else table[3] + start
    return RawSamples(table[:3].T, since, time_unit="s", uptime=start is None)


def write(time_s: Float64Array, xyz: Float64Array, start_s: float) -> bytes:
    """A message of an experiment that began at `start_s`."""
    axes = dict(zip(("accX", "accY", "accZ"), xyz.T.tolist(), strict=True))
    event = {"event": "START", "experimentTime": 0.0, "systemTime": start_s}
    since = (time_s - start_s).tolist()
    return msgspec.json.encode({**axes, "acc_time": since, "time": {"now": since[-1], "events": [event]}})


def _buffer(buffers: dict[str, list[object]], axis: str) -> list[object] | None:
    names = (axis, f"acc{axis}", f"acc_{axis}", f"a{axis}", f"accel{axis}", f"accel_{axis}")
    return next((buffers[name] for name in names if name in buffers), None)


def _start_s(time: object) -> float | None:
    """Unix time of the experiment's time zero, by its last start."""
    events = time.get("events") if isinstance(time, dict) else None
    for event in reversed(events if isinstance(events, list) else []):
        if isinstance(event, dict) and event.get("event") == "START":
            start = values.number(event.get("systemTime")) - values.number(event.get("experimentTime"))
            return start if np.isfinite(start) else None
    return None
