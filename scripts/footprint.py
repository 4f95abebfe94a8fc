#!/usr/bin/env python3
"""What a gateway pays: size of the runtime install, and resident memory of the daemon with N devices.

    python scripts/footprint.py [--devices 100] [--seconds 30]

Only parses; the work is in benchmarks/footprint.py. Exit code 1 where torch came along.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.footprint import measure

from hard.errors import HardError


def main() -> int:
    parser = argparse.ArgumentParser(description="size of the runtime install, and memory of the daemon")
    parser.add_argument("--devices", type=int, default=100, help="simulated devices (100)")
    parser.add_argument("--seconds", type=int, default=30, help="of load before memory is read (30)")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return measure(Path(folder), args.devices, args.seconds)
    except HardError as error:
        print(f"footprint.py: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
