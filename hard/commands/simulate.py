"""`hard simulate`: publishes simulated wearers to a broker."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading

from hard.commands.connection import address_of, topic_of
from hard.commands.wearers import Wearers
from hard.errors import UsageError
from hard.mqtt.simple_client import SimpleClient


def main(args: argparse.Namespace) -> int:
    """Publishes until the time is over or Ctrl-C, then prints the counts on standard error."""
    among = (args.one_activity,) if args.one_activity else ()
    with SimpleClient(address_of(args)) as client:
        try:
            wearers = Wearers(args.devices, rate_hz=args.rate, seed=args.seed, among=among, format=args.format)
        except ValueError as error:
            raise UsageError(error) from error
        with contextlib.suppress(KeyboardInterrupt):
            wearers.publish(client, topic_of(args), threading.Event(), args.seconds or float("inf"))
    counts, noun = wearers.counts, "wearer" if args.devices == 1 else "wearers"
    print(
        f"hard: {args.devices} {noun}: {counts.messages} messages, {counts.samples} samples published; "
        f"{client.acknowledged} messages acknowledged; never more than {counts.behind_s:.2f} s behind",
        file=sys.stderr,
    )
    return 0
