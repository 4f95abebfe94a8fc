"""Some samples → the messages with which a sender of each format would send them, for simulated senders and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hard.formats import cbor, csv_lines, int16, messagepack, native_json, phyphox, ready_made, senml, sensor_logger
from hard.records import Float64Array
from hard.units import G_MS2

INT16_SCALE = G_MS2 / 2048  # m/s² a count: a 16-bit sensor of ±16 g


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples of `device`: `time_s` (N,) in Unix s and `xyz` (N, 3) in m/s², N above 0. It was switched on, or its
    experiment begun, at `start_s`."""

    time_s: Float64Array
    xyz: Float64Array
    rate_hz: float
    device: str
    start_s: float


# By name of a format, or of a ready-made mapping.
WRITERS: dict[str, Callable[[Batch], list[bytes]]] = {
    "json": lambda b: [native_json.write(b.time_s, b.xyz, b.rate_hz)],
    "csv": lambda b: [csv_lines.write(b.time_s, b.xyz)],
    "msgpack": lambda b: [messagepack.write(b.time_s, b.xyz, b.rate_hz)],
    "cbor": lambda b: [cbor.write(b.time_s, b.xyz, b.rate_hz)],
    "senml": lambda b: [senml.write(b.time_s, b.xyz, b.device)],
    "sensorlogger": lambda b: [sensor_logger.write(b.time_s, b.xyz, b.device)],
    "phyphox": lambda b: [phyphox.write(b.time_s, b.xyz, b.start_s)],
    "int16": lambda b: [int16.write(b.xyz, INT16_SCALE)],
    "sensorspot": lambda b: ready_made.write_sensorspot(b.time_s - b.start_s, b.xyz),
    "movesense": lambda b: [ready_made.write_movesense(b.time_s - b.start_s, b.xyz, b.rate_hz, b.device)],
    "edgeimpulse": lambda b: [ready_made.write_edge_impulse(b.xyz, b.rate_hz, b.device)],
}
