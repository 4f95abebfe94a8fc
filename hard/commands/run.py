"""`hard run`: the daemon in the foreground, as systemd starts it."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from hard.daemon import wiring
from hard.daemon.daemon import Daemon
from hard.settings import Settings, load

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def main(args: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT. Returns the exit code; raises HardError where it can't start."""
    settings = load(args.config, args.overrides)
    configure_logging(settings)
    return Daemon(settings, wiring.build(settings), lambda: load(args.config, args.overrides)).run()


def configure_logging(settings: Settings) -> None:
    """One line a record on stderr. systemd's journal adds the time and reads the level from a number, sd-daemon(3)."""
    stderr = os.fstat(2)
    to_journal = os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"
    for level, priority in PRIORITIES.items() if to_journal else ():
        logging.addLevelName(level, f"<{priority}>")
    line = "%(levelname)s%(name)s: %(message)s" if to_journal else "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=settings.log_level.upper(), format=line, stream=sys.stderr, force=True)
