"""Fine-tunes a T5 on labelled recordings and writes a model bundle. Only parses; the work is in scripts/training/."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from training.options import add_source

from hard.errors import HardError

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="finetune.py", description=__doc__)
    p.add_argument("data", nargs="+", type=Path, help="WISDM text, CSV or Parquet, or a folder of them")
    p.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    p.add_argument("--name", default="", help="name of the model (the folder's)")
    p.add_argument("--base", default="scratch", help="scratch, a bundle, a hub id, or a folder")
    p.add_argument("--prompt", choices=("compact", "seed"), default="compact")
    p.add_argument("--features", type=_list, default=(), help="of a compact prompt: comma-separated names")
    p.add_argument("--levels", type=int, default=16, help="levels of each feature (16)")
    p.add_argument("--holdout", type=_list, default=(), help="test subjects, comma-separated")
    p.add_argument(
        "--folds", type=int, help="cross-validation by subject instead of one bundle; --out takes the report"
    )
    p.add_argument("--jobs", type=int, default=1, help="folds trained side by side (1)")
    p.add_argument(
        "--split",
        choices=("subject", "time", "random"),
        default="subject",
        help="time: for one person; random reproduces leaky figures, and marks all that comes of it",
    )
    p.add_argument("--cross-validation", type=Path, help="a report made with --folds, for the card to take over")
    p.add_argument("--no-baselines", action="store_false", dest="baselines", help="train nothing to compare with")
    p.add_argument("--validation", type=int, help="how many of the others choose the epoch (15 %%)")
    p.add_argument("--length-s", type=float, default=4.0, help="window length in s (4)")
    p.add_argument("--rate", type=float, default=20.0, dest="rate_hz", help="window rate in Hz (20)")
    p.add_argument("--hop", type=float, default=1.0, dest="hop_s", help="from one window to the next in s (1)")
    p.add_argument("--epochs", type=int, help="at most so many (4)")
    p.add_argument("--patience", type=int, default=4, help="stop after so many epochs without gain (4)")
    p.add_argument("--refit", action="store_true", help="then train again on the validation subjects too, as long")
    p.add_argument("--resume", action="store_true", help="go on with an interrupted run; its state is in OUT.work")
    p.add_argument("--time-limit", type=float, metavar="MINUTES", help="stop there, and keep the best epoch so far")
    p.add_argument("--batch", type=int, help="examples a step (64 from scratch, else 8)")
    p.add_argument("--accumulate", type=int, help="steps an update (1 from scratch, else 2)")
    p.add_argument("--lr", type=float, help="learning rate (3e-3 from scratch, else 1e-3)")
    p.add_argument(
        "--schedule", choices=("constant", "linear", "cosine"), help="of the rate (cosine from scratch, else constant)"
    )
    p.add_argument("--copies", type=int, help="augmented copies of each window (3; 0 for the seed prompt)")
    p.add_argument(
        "--word-dropout", type=float, help="share of words dropped in training (0.15; 0 for the seed prompt)"
    )
    p.add_argument(
        "--outliers", type=float, help="share of examples that are no activity, labelled by lot (0.05; 0 for seed)"
    )
    p.add_argument("--label-smoothing", type=float, help="0.05 from scratch, else 0")
    p.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto", help="fp16 is refused")
    p.add_argument("--max-tokens", type=int, default=512, help="a longer prompt is refused (512)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=0, help="of torch (its own choice)")
    add_source(p)
    return p


def main(arguments: list[str]) -> int:
    options = vars(parser().parse_args(arguments))
    folds, jobs = options.pop("folds"), options.pop("jobs")
    from rich.console import Console  # noqa: PLC0415  (--help needs none of what follows)
    from training import crossval as crossing  # noqa: PLC0415
    from training import finetune  # noqa: PLC0415
    from training.recipe import Recipe  # noqa: PLC0415

    # As it would be given anew. A relative path lets it be run again; an absolute one is nobody's business.
    told = (Path(a).name if Path(a).is_absolute() else a for a in arguments if a != "--resume")
    command = f"python scripts/finetune.py {shlex.join(told)}"
    recipe = Recipe(**{**options, "data": tuple(options["data"])}, command=command)
    console = Console(soft_wrap=True)
    try:
        if folds is None:
            finetune.run(recipe, console)
        else:
            crossing.run(recipe, console, folds=folds, jobs=jobs)
    except HardError as error:
        print(f"finetune.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
