"""What HARD costs: against what people would use instead, or with --against against another checkout of HARD.

Only parses; the work is in benchmarks/. Exit codes: 0 done; 1 a judged cost is worse than the other checkout's by more
than the tolerance, or a process failed; 2 bad arguments, or something that must be installed first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 170  # of the tables where there is no terminal
PARTS = ("scorer", "pipeline", "endtoend", "startup")
LEAST_TURNS = 7  # the median of fewer says little about a few per cent


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="benchmark.py", description=__doc__.partition("\n")[0])
    p.add_argument("--quick", action="store_true", help="fewer batches, rounds and seconds: rougher")
    p.add_argument("--parts", type=_parts, default=set(PARTS), help=f"comma-separated: {','.join(PARTS)} (all)")
    p.add_argument("--out", type=Path, default=Path("benchmark"), help="takes JSON, Markdown and picture (benchmark)")
    other = p.add_argument_group("against another checkout", "instead of the parts above, on the same machine in turns")
    other.add_argument("--against", type=Path, metavar="CHECKOUT", help="a folder with a checkout of any version")
    other.add_argument("--only", type=_names, metavar="NAME,…", help="only these comparisons (all of the set)")
    other.add_argument("--turns", type=_turns, default=LEAST_TURNS, metavar="N", help=f"of each ({LEAST_TURNS})")
    other.add_argument("--tolerance", type=float, default=5.0, metavar="PER_CENT", help="by which a cost may rise (5)")
    other.add_argument("--json", type=Path, metavar="FILE", help="takes the comparisons as JSON")
    return p


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "2")  # of torch; each measurement sets what it uses
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers' own too
    from rich.console import Console  # noqa: PLC0415  (--help needs none of it)

    from hard.errors import HardError  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    try:
        with tempfile.TemporaryDirectory(prefix="hard-benchmark-") as folder:
            return (_compare if options.against else _measure)(options, Path(folder), console)
    except HardError as error:
        print(f"benchmark.py: {error}", file=sys.stderr)
        return error.exit_code


def _measure(options: argparse.Namespace, folder: Path, console: Console) -> int:
    from benchmarks import picture, report, suite  # noqa: PLC0415

    measured = suite.Suite(folder, quick=options.quick, say=lambda text: console.print(text, style="dim"))
    record = measured.run(options.parts)
    report.write(record, options.out, console)
    picture.draw(record, options.out / "benchmark.png")
    console.print(f"wrote {options.out}/benchmark.json, .md and .png")
    return 0


def _compare(options: argparse.Namespace, folder: Path, console: Console) -> int:
    from benchmarks import against, comparison  # noqa: PLC0415

    this, other = against.checkout_at(ROOT), against.checkout_at(options.against)
    chosen = against.choose(options.only, quick=options.quick)
    record = against.compare(
        this, other, chosen, folder, turns=options.turns, tolerance=options.tolerance / 100,
        say=lambda text: console.print(text, style="dim"),
    )  # fmt: skip
    comparison.show(record, console)
    if options.json:
        options.json.write_bytes(comparison.as_json(record))
    return int(bool(record.worse))


def _parts(text: str) -> set[str]:
    wanted = set(_names(text))
    if unknown := wanted - set(PARTS):
        raise argparse.ArgumentTypeError(f"there is no part {min(unknown)!r}; choose from {', '.join(PARTS)}")
    return wanted


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _turns(text: str) -> int:
    turns = int(text)
    if turns < LEAST_TURNS:
        raise argparse.ArgumentTypeError(f"{turns} is less than {LEAST_TURNS}")
    return turns


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
