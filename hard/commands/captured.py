"""Captured messages in a file, one a line → the columns of a recording, through the daemon's own decoder.

A line is a payload, text as it is or any bytes as hex, with `TOPIC<tab>` before it where the topic is known. Where that
names no device, the payload names it, or else the file. Times stay the device's own, whatever they count from.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hard.daemon.wiring import make_decoder
from hard.formats.formats import BY_NAME
from hard.formats.raw_samples import PayloadError
from hard.formats.ready_made import READY_MADE
from hard.formats.topics import is_device_name
from hard.recordings.tables import NoRecordError, NoTimesError, Table, default_subject
from hard.recordings.text import read_lines
from hard.records import Float64Array, Message, Samples
from hard.settings import Settings, load
from hard.units import ms2_per

BY_PAYLOAD, BY_FILE = "captured", "captured/{device}"  # topics of lines without one
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_WITH_TOPIC = re.compile(rb"([^\t{\[\"]*[A-Za-z$][^\t{\[\"]*)\t(.*)", re.DOTALL)


def settings_of(args: Namespace) -> Settings:
    """The settings with which a daemon would read what the options of `args` describe. Raises SettingsError."""
    asked = {
        "format": "mapping" if args.format in READY_MADE else args.format,
        "mapping": args.format if args.format in READY_MADE else args.mapping,
        "rate_hz": args.rate, "time_unit": args.time_unit, "clock": "uptime",
    }  # fmt: skip
    if args.unit:
        asked["scale"] = ms2_per(args.unit)
    overrides = [f"ingest.{name}={value}" for name, value in asked.items() if value is not None]
    topics = [*load().ingest.topics, BY_FILE]
    if asked["format"] == "mapping" or BY_NAME[str(asked["format"])].names_device:
        topics.append(BY_PAYLOAD)
    return load(None, [*overrides, f"ingest.topics={topics}".replace("'", '"')])


def read(path: Path, settings: Settings) -> Table:
    """The columns of all messages, times in s and accelerations in m/s². Raises RecordingError."""
    decoder = make_decoder(settings)
    name = default_subject(path)
    topics = BY_PAYLOAD, BY_FILE.replace("{device}", name if is_device_name(name) else "device")
    table = Table([], None, [], np.empty((0, 3)), Counter())
    messages: list[Samples] = []
    for number, given, payload in _lines(path):
        for topic in (*given, *topics):
            try:
                messages.append(decoder.decode(Message(topic, payload, 0.0, 0.0)))
                table.rejected.update(dict(messages[-1].invalid))
                break
            except PayloadError as error:
                if error.reason == "topic" and topic != topics[-1]:
                    continue
                table.rejected[error.reason] += 1
                table.examples.setdefault(error.reason, f"in line {number}: {error}")
                break
    if not messages:
        raise NoRecordError(path, f"no message could be read ({table.reasons()})")
    times = _times(messages, path)
    table.subject = [samples.device for samples in messages for _ in samples.xyz]
    table.time, table.xyz = np.concatenate(times).tolist(), np.concatenate([samples.xyz for samples in messages])
    return table


def _lines(path: Path) -> Iterator[tuple[int, tuple[str, ...], bytes]]:
    """Number, topic where there is one, and payload of each line."""
    for number, line in enumerate(read_lines(path), 1):
        found = _WITH_TOPIC.fullmatch(line)
        text = found[2] if found else line
        payload = bytes.fromhex(text.decode("ascii")) if _HEX.fullmatch(text.strip()) else text
        if payload.strip():
            yield number, (found[1].decode("utf-8", "replace"),) if found else (), payload


def _times(messages: list[Samples], path: Path) -> list[Float64Array]:
    """The times of each message; those of a device without a clock follow one another, from zero on."""
    ends: dict[str, float] = {}
    times = []
    for samples in messages:
        time = samples.time
        if time is None:
            if samples.rate_hz is None:
                raise NoTimesError(path, "its messages have neither times nor a rate, so the sample rate must be given")
            time = ends.get(samples.device, 0.0) + np.arange(len(samples.xyz)) / samples.rate_hz
            ends[samples.device] = float(time[-1]) + 1 / samples.rate_hz
        times.append(time)
    return times
