"""Scores a bundle on labelled recordings, through either backend. Only parses; the work is in scripts/training/."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.options import add_source, positive, take_source

from hard.commands.arguments import names
from hard.errors import HardError


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="evaluate.py", description=__doc__)
    p.add_argument("bundle", type=Path)
    p.add_argument("data", nargs="+", type=Path, help="WISDM text, CSV or Parquet, or a folder of them")
    p.add_argument("--subjects", type=names, help="only these, comma-separated")
    p.add_argument("--out", type=Path, help="folder of a report with tables and pictures")
    p.add_argument(
        "--changed", action="store_true", help="score them also as other phones and placements would have given them"
    )
    p.add_argument("--backend", choices=("onnx", "torch"), default="onnx")
    p.add_argument("--hop", type=positive, default=1.0, help="from one window to the next in s (1)")
    add_source(p)
    return p


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    from rich.console import Console  # noqa: PLC0415  (--help needs none of what follows)
    from training.evaluation.evaluate import evaluate  # noqa: PLC0415
    from training.report import report  # noqa: PLC0415
    from training.report.console import show_evaluation  # noqa: PLC0415

    console = Console(soft_wrap=True)
    try:
        report.check_out(options.out)
        found = evaluate(
            options.bundle,
            options.data,
            take_source(vars(options)),
            subjects=options.subjects,
            backend=options.backend,
            hop_s=options.hop,
            perturbed=options.changed,
        )
        figures = report.evaluation_report(found)
        show_evaluation(console, found, figures.figures, figures.abstaining)
        if options.out is not None:
            report.write_evaluation(options.out, found, figures)
            console.print(f"wrote {options.out}")
    except HardError as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
