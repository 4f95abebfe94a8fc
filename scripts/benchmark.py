"""What HARD costs against what people would use instead, in one run. Only parses; the work is in benchmarks/."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

WIDTH = 170  # of the tables where there is no terminal
PARTS = ("scorer", "pipeline", "endtoend", "startup")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="benchmark.py", description=__doc__)
    p.add_argument("--quick", action="store_true", help="fewer batches, rounds and seconds: rougher")
    p.add_argument("--parts", type=_parts, default=set(PARTS), help=f"comma-separated: {','.join(PARTS)} (all)")
    p.add_argument("--out", type=Path, default=Path("benchmark"), help="takes JSON, Markdown and picture (benchmark)")
    return p


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "2")  # of torch; each measurement sets what it uses
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from benchmarks import course, picture, report  # noqa: PLC0415  (--help needs none of it)
    from rich.console import Console  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    from hard.errors import UsageError  # noqa: PLC0415

    logging.disable_progress_bar()
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    try:
        with tempfile.TemporaryDirectory(prefix="hard-benchmark-") as folder:
            run = course.Run(Path(folder), quick=options.quick, say=lambda text: console.print(text, style="dim"))
            record = run.all(options.parts)
    except UsageError as error:
        print(f"benchmark.py: {error}", file=sys.stderr)
        return 2
    report.write(record, options.out, console)
    picture.draw(record, options.out / "benchmark.png")
    console.print(f"wrote {options.out}/benchmark.json, .md and .png")
    return 0


def _parts(text: str) -> set[str]:
    wanted = {part.strip() for part in text.split(",")}
    if unknown := wanted - set(PARTS):
        raise argparse.ArgumentTypeError(f"there is no part {min(unknown)!r}; choose from {', '.join(PARTS)}")
    return wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
