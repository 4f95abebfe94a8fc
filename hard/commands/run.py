"""`hard run`: the daemon in the foreground, as systemd starts it."""

from __future__ import annotations

import argparse
import logging
import sys

from hard.daemon import Daemon
from hard.model.bundle import BundleError
from hard.settings import Settings, SettingsError, load


def main(args: argparse.Namespace) -> int:
    """Serves until told to stop. Exit code 0 after a clean stop, 2 on bad settings or bundle, 1 on anything else."""
    try:
        settings = load(args.config, args.overrides)
        configure_logging(settings)
        return Daemon(settings).run()
    except (SettingsError, BundleError) as error:
        print(f"hard: {error}", file=sys.stderr)
        return 2


def configure_logging(settings: Settings) -> None:
    """One line a record on stderr; the journal adds the time."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True
    )
