#!/usr/bin/env python3
"""Injects faults into a running daemon and broker, and checks that nothing is lost.

    python scripts/chaos.py [--minutes 30] [--kills 100] [--broker-kills 30] [--devices 50] [--seed 0]

The first 60 % of the time the daemon is killed (-9), stopped and continued; its connection is cut inside packets,
delayed and filled with bytes that are not MQTT; its disk is filled (a tmpfs, as root). Then the broker is killed (-9)
and stopped, and the daemon is left alone. A publisher follows a known workload; every window of an undisturbed run of
it must reach a subscriber. Exit code 1 where one is missing that the broker had not acknowledged and lost, where more
than 2 % come twice (a kill costs up to a second's labels), where counters don't add up, or where memory or descriptors
grow. Only parses; the work is in soak/.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from soak.faults import FaultOptions, inject_faults
from soak.fuzz import fuzz
from soak.overload import overload

from hard.errors import HardError


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--minutes", type=float, default=30, metavar="N", help="how long (30)")
    p.add_argument("--kills", type=int, default=100, metavar="N", help="of the daemon (100)")
    p.add_argument("--broker-kills", type=int, default=30, metavar="N", help="(30)")
    p.add_argument("--devices", type=int, default=50, metavar="N", help="each sends a message a second, at once (50)")
    p.add_argument("--fuzz", type=int, default=0, metavar="N", help="instead: N bad payloads beside good devices")
    p.add_argument("--rate", type=float, metavar="R", help="bad payloads a second (as many as are taken)")
    p.add_argument("--aimed", type=float, default=0.0, metavar="SHARE", help="of the faults, at the bursts (0)")
    p.add_argument("--most-repeats", type=float, default=0.02, metavar="SHARE", help="of all windows (0.02)")
    p.add_argument("--overload", action="store_true", help="instead: twice what the model can label, for --minutes")
    p.add_argument("--seed", type=int, default=0, help="of the schedule and the data (0)")
    return p


def main() -> int:
    args = parser().parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            if args.overload:
                return overload(Path(name), round(args.minutes * 60), args.seed)
            if args.fuzz:
                return fuzz(Path(name), args.fuzz, args.seed, args.rate)
            options = FaultOptions(
                args.minutes, args.kills, args.broker_kills, args.devices, args.aimed, args.most_repeats, args.seed
            )
            return inject_faults(Path(name), options)
    except HardError as error:
        print(f"chaos.py: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
