"""`hard replay FILE`: a recording as live messages, one device for each subject and place, one message for each second.

Device clocks are shifted so that each device begins now. A jump forward between two runs stays in device time, but the
replay waits at most 2 s for it. A jump back is replayed as a jump of 2 s forward: at other speeds than 1 the daemon
could not distinguish a clock set back from late messages.

At speed 0 the broker's acknowledgements set the pace. A broker also acknowledges messages that it later drops for a
slow subscriber: mosquitto keeps `max_queued_messages`, 1000 by default.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from hard.commands.connection import address_of, topic_of
from hard.commands.label import print_rejected, read_recording
from hard.commands.progress import progress
from hard.errors import UsageError
from hard.formats import native_json
from hard.formats.topics import is_device_name
from hard.mqtt.simple_client import SimpleClient
from hard.recordings.recordings import Recording
from hard.records import Float64Array

MESSAGE_S = 1.0
LONGEST_WAIT_S = 2.0
AFTER_JUMP_BACK_S = 2.0


class ScheduledMessage(NamedTuple):
    """One message: due `due_s` after the beginning, at speed 1; `time` (N,) in device Unix s, `xyz` (N, 3)."""

    due_s: float
    device: str
    time: Float64Array
    xyz: Float64Array
    rate_hz: float


def main(args: argparse.Namespace) -> int:
    """Publishes the recording, then prints the counts on standard error. Ctrl-C ends it early."""
    runs, rejected = read_recording(args)
    print_rejected(args.file, rejected)
    for run in runs:
        if not is_device_name(run.device):
            raise UsageError(f"{args.file}: {run.device!r} can't be a device: it is not one level of a topic")
    topic = topic_of(args)
    samples = sum(len(run.time) for run in runs)
    sent = 0
    with SimpleClient(address_of(args)) as client, progress("replaying", samples, prints=False) as advance:
        begin, begin_wall = time.monotonic(), time.time()
        with contextlib.suppress(KeyboardInterrupt):
            for message in schedule(runs, begin_wall):
                if args.speed:
                    time.sleep(max(0.0, begin + message.due_s / args.speed - time.monotonic()))
                client.publish(
                    topic.replace("{device}", message.device),
                    native_json.write(message.time, message.xyz, message.rate_hz),
                )
                sent += len(message.time)
                advance(len(message.time))
    print(
        f"hard: {args.file}: {client.published} messages, {sent} of {samples} samples published in "
        f"{time.monotonic() - begin:.1f} s; {client.acknowledged} messages acknowledged",
        file=sys.stderr,
    )
    return 0


def schedule(runs: Iterable[Recording], begin_wall: float) -> Iterator[ScheduledMessage]:
    """The messages of all devices, ordered by when they are due; each device begins at `begin_wall`."""
    by_device: dict[str, list[Recording]] = {}
    for run in runs:
        by_device.setdefault(run.device, []).append(run)
    return heapq.merge(
        *(_schedule_device(own, begin_wall) for own in by_device.values()), key=lambda message: message.due_s
    )


def _schedule_device(runs: list[Recording], begin_wall: float) -> Iterator[ScheduledMessage]:
    due_s, clock, last = 0.0, begin_wall, None
    for run in runs:
        if last is not None:
            gap_s = float(run.time[0] - last)
            gap_s = gap_s if gap_s > 0 else AFTER_JUMP_BACK_S
            due_s += min(gap_s, LONGEST_WAIT_S)
            clock += gap_s
        since = run.time - run.time[0]
        rate_hz = sample_rate(since)
        bounds = np.searchsorted(since, np.arange(MESSAGE_S, since[-1], MESSAGE_S) - 1e-6)
        for part in np.split(np.arange(len(since)), np.unique(bounds)):
            if len(part):
                # A message goes out with its last sample.
                yield ScheduledMessage(
                    due_s + float(since[part[-1]]), run.device, clock + since[part], run.xyz[part], rate_hz
                )
        due_s += float(since[-1])
        clock += float(since[-1])
        last = run.time[-1]


def sample_rate(since: Float64Array) -> float:
    """The rate of a run in Hz, by its median step."""
    return round(float(1 / np.median(np.diff(since))), 6) if len(since) > 1 else 1.0
