"""Fine-tunes a T5 on labelled recordings and writes a model bundle. Only parses; the work is in scripts/training/."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from training.options import Options, add_source, folds, take_source

from hard.commands.arguments import names
from hard.errors import HardError

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def parser() -> argparse.ArgumentParser:
    """Options that aren't given are left out: the defaults stand in training/options.py and training/recipe.py."""
    p = argparse.ArgumentParser(prog="finetune.py", description=__doc__, argument_default=argparse.SUPPRESS)
    p.add_argument("data", nargs="+", type=Path, help="WISDM text, CSV or Parquet, or a folder of them")
    p.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    p.add_argument("--name", help="name of the model (the folder's)")
    add_source(p)
    _add_model(p.add_argument_group("model"))
    _add_split(p.add_argument_group("split and figures"))
    _add_training(p.add_argument_group("training"))
    _add_examples(p.add_argument_group("training examples"))
    _add_run(p.add_argument_group("run"))
    return p


def main(arguments: list[str]) -> int:
    given = vars(parser().parse_args(arguments))
    by, jobs = given.pop("folds"), given.pop("jobs")
    given |= {"cross_validation": tuple(given.get("cross_validation", ()))}
    from rich.console import Console  # noqa: PLC0415  (--help needs none of what follows)
    from training import crossval, finetune  # noqa: PLC0415
    from training.recipe import finalise  # noqa: PLC0415

    # As it would be given anew. A relative path lets it be run again; an absolute one would name this machine's disk.
    words = (Path(a).name if Path(a).is_absolute() else a for a in arguments if a != "--resume")
    command = f"python scripts/finetune.py {shlex.join(words)}"
    source, data = take_source(given), tuple(given.pop("data"))
    options = Options(**given, data=data, source=source, command=command)
    console = Console(soft_wrap=True)
    try:
        if by is None:
            finetune.run(finalise(options), console)
        else:
            crossval.run(options, console, folds=by, jobs=jobs)
    except HardError as error:
        print(f"finetune.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


Group = argparse._ArgumentGroup


def _add_model(group: Group) -> None:
    group.add_argument("--base", help="scratch, a bundle, a hub id, or a folder (scratch)")
    group.add_argument("--prompt", choices=("compact", "seed"), help="(compact)")
    group.add_argument("--features", type=names, help="of a compact prompt: comma-separated names")
    group.add_argument("--levels", type=int, help="levels of each feature (16)")
    group.add_argument(
        "--context", type=names, help="what a compact prompt begins with: place, where it is known (none)"
    )
    group.add_argument("--length-s", type=float, help="window length in s (4)")
    group.add_argument("--rate", type=float, dest="rate_hz", help="window rate in Hz (20)")
    group.add_argument("--hop", type=float, dest="hop_s", help="from one window to the next in s (1)")
    group.add_argument("--max-tokens", type=int, help="a longer prompt is refused (512)")


def _add_split(group: Group) -> None:
    group.add_argument("--holdout", type=names, help="test subjects, comma-separated")
    group.add_argument("--validation", type=int, help="how many of the others choose the epoch (15 %%)")
    group.add_argument(
        "--split",
        choices=("subject", "time", "random"),
        help="time: for one person; random reproduces leaky figures, and marks all that comes of it (subject)",
    )
    group.add_argument(
        "--folds",
        type=folds,
        default=None,
        metavar="N|dataset|place|activity",
        help="cross-validation instead of a bundle: by subject, or each data set, place or activity left out in turn; "
        "--out takes its report",
    )
    group.add_argument("--jobs", type=int, default=1, help="folds trained side by side (1)")
    group.add_argument(
        "--leave-out",
        metavar="KIND=NAME",
        help="dataset=NAME or place=NAME: test on its windows and learn from none; activity=NAME: see how sure the "
        "model is of an activity that it has never learnt",
    )
    group.add_argument(
        "--cross-validation", type=Path, nargs="+", help="reports made with --folds, for the card to take over"
    )
    group.add_argument("--no-baselines", action="store_false", dest="baselines", help="train nothing to compare with")


def _add_training(group: Group) -> None:
    group.add_argument("--epochs", type=int, help="at most so many (4; from a bundle 6)")
    group.add_argument(
        "--epoch-windows",
        type=int,
        metavar="N",
        help="windows, copies included, that an epoch draws by the weight of data set, place and label (all, at most "
        "150,000)",
    )
    group.add_argument("--patience", type=int, help="stop after so many epochs without gain (4)")
    group.add_argument("--refit", action="store_true", help="then train again on the validation subjects too, as long")
    group.add_argument("--batch", type=int, help="examples a step (64 for a small model, else 8)")
    group.add_argument("--accumulate", type=int, help="steps an update (1 for a small model, else 2)")
    group.add_argument(
        "--lr", type=float, help="learning rate (3e-3 from scratch, 2e-3 from a small bundle, else 1e-3)"
    )
    group.add_argument(
        "--schedule",
        choices=("constant", "linear", "cosine"),
        help="of the rate (cosine from scratch and from a bundle, else constant)",
    )
    group.add_argument("--label-smoothing", type=float, help="(0.05 from scratch and from a bundle, else 0)")
    group.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), help="fp16 is refused (auto)")


def _add_examples(group: Group) -> None:
    group.add_argument(
        "--copies",
        type=int,
        help="further lives of each recording: another order, some activities left out, another sensor (3; 0 for the "
        "seed prompt)",
    )
    group.add_argument(
        "--word-dropout", type=float, help="share of words dropped in training (0.15; 0 for the seed prompt)"
    )
    group.add_argument(
        "--outliers",
        type=float,
        help="share of examples that are no activity, with random labels (0.05; 0 for the seed prompt)",
    )


def _add_run(group: Group) -> None:
    group.add_argument("--resume", action="store_true", help="go on with an interrupted run; its state is in OUT.work")
    group.add_argument("--time-limit", type=float, metavar="MINUTES", help="stop there, and keep the best epoch so far")
    group.add_argument("--seed", type=int, help="(0)")
    group.add_argument("--threads", type=int, help="of torch (its own choice)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
