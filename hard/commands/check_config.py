"""`hard check-config`: the effective settings as JSON, secrets masked; or one sentence about what is wrong."""

from __future__ import annotations

import argparse
import sys

from hard.daemon import wiring
from hard.model import bundle
from hard.settings import SettingsError, load


def main(args: argparse.Namespace) -> int:
    """Prints what `hard run` would use. Exit code 2 when it would refuse."""
    try:
        settings = load(args.config, args.overrides)
        wiring.broker(settings)
        wiring.grid(settings, bundle.read(settings.model.bundle))
    except (SettingsError, bundle.BundleError) as error:
        print(f"hard: {error}", file=sys.stderr)
        return 2
    print(settings.model_dump_json(indent=2))
    return 0
