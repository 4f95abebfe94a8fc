"""`hard check-config`: prints the effective settings as JSON, secrets masked; or one sentence about what is wrong."""

from __future__ import annotations

import argparse

from hard.daemon import wiring
from hard.model import bundle
from hard.settings import load


def main(args: argparse.Namespace) -> int:
    """Prints what `hard run` would use. Raises HardError when it would refuse."""
    settings = load(args.config, args.overrides)
    wiring.session_options(settings)
    wiring.make_decoder(settings)
    wiring.make_grid(settings, bundle.read(settings.model.bundle))
    print(settings.model_dump_json(indent=2))
    return 0
