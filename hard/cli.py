"""The `hard` command: arguments in, exit code out. It parses them and imports the command's module only to run it.

Exit codes: 0 done, 2 bad arguments, settings or bundle (one sentence on stderr), 1 anything else, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from hard import __version__
from hard.commands.arguments import (
    FORMATS,
    LOCAL_BROKER,
    SENSOR_TOPIC,
    acceleration_unit,
    columns,
    count,
    lag,
    log_level,
    names,
    pairs,
    positive,
    sample_rate,
    seed,
    sensor_topic,
    speed,
    threshold,
)  # fmt: skip
from hard.errors import HardError
from hard.units import COLUMN_KINDS, TIME_UNITS, UNITS


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit code."""
    args = parser().parse_args(argv)
    try:
        code: int = import_module(f"hard.commands.{args.command.replace('-', '_')}").main(args)
        sys.stdout.flush()
    except HardError as error:
        print(f"hard: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has closed its end. Python flushes stdout once more at exit, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="hard",
        description="HARD, the Human Activity Recognition Daemon: accelerometer samples on MQTT become labels.",
    )
    top.add_argument("--version", action="version", version=f"hard {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary, add_arguments in (
        ("run", "the daemon", _settings),
        ("check-config", "print the effective settings, secrets masked", _settings),
        ("health", "whether a daemon is healthy, by its health record on the broker; exit code 1 where not", _health),
        ("demo", "broker, simulated wearers and the daemon in one terminal", _demo),
        ("simulate", "publish simulated wearers to a broker", _simulate),
        ("replay", "publish a recording to a broker as live messages", _replay),
        ("label", "label a recording, without any broker", _label),
        ("doctor", "what each device sends, what is wrong with it, and the lines for hard.toml", _doctor),
        ("watch", "live table of the labels on a broker", _watch),
        ("bundle", "show or verify a model bundle", _bundle),
    ):
        add_arguments(commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + "."))
    return top


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="PATH", help="TOML file with settings")
    command.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.NAME=VALUE",
        help="one setting; may be repeated",
    )
    command.add_argument(
        "--log-level", dest="overrides", action="append", type=log_level, metavar="LEVEL", help="--set log_level=LEVEL"
    )


def _health(command: argparse.ArgumentParser) -> None:
    _settings(command)
    command.add_argument("--json", action="store_true", help="the verdict and the whole health record")


def _broker(command: argparse.ArgumentParser, note: str = LOCAL_BROKER) -> None:
    command.add_argument(
        "--broker",
        metavar="URL",
        help=f"mqtt://[user[:password]@]host[:port], mqtts:// for TLS, ws://, wss:// or unix:/path ({note})",
    )
    command.add_argument(
        "--config", type=Path, metavar="PATH", help="a daemon's settings: its broker, user, password file and CA"
    )


def _recording(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="WISDM text, CSV (either also .gz, .bz2 or .xz), or Parquet")
    command.add_argument("--subjects", type=names, metavar="A,B,…", help="only these subjects")
    command.add_argument(
        "--format",
        choices=FORMATS,
        metavar="NAME",
        help="the file holds captured messages of this format, one a line: text as it is, binary as hex, optionally "
        f"TOPIC<tab> before: {', '.join(FORMATS)}",
    )
    command.add_argument("--mapping", metavar="JSON", help="paths as in ingest.mapping, for --format mapping")
    command.add_argument(
        "--time-unit", choices=tuple(TIME_UNITS), help="of the file's times (by default the median step decides)"
    )
    command.add_argument(
        "--rate", type=sample_rate, metavar="HZ", help="sample rate of a file without times, or with whole seconds"
    )
    command.add_argument(
        "--columns",
        type=columns,
        default=(),
        metavar="KIND=NAME,…",
        help=f"columns that aren't called as usual, by what they hold: {', '.join(COLUMN_KINDS)}",
    )
    command.add_argument(
        "--unit",
        type=acceleration_unit,
        help=f"of the file's accelerations: {', '.join(UNITS)}, or how many m/s² a raw count is (what the header says, "
        "else m/s2, where gravity agrees)",
    )


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seconds", type=positive, metavar="N", help="end N s after the first label (until Ctrl-C)")
    _broker(command, "one of its own")
    command.add_argument("--devices", type=count, default=6, metavar="N", help="simulated wearers (6)")
    command.add_argument("--seed", type=seed, default=0, help="of the simulated wearers (0)")


def _simulate(command: argparse.ArgumentParser) -> None:
    _broker(command)
    command.add_argument("--devices", type=count, default=1, metavar="N", help="wearers, named sim-1, sim-2, … (1)")
    command.add_argument("--seconds", type=positive, metavar="S", help="how long (until Ctrl-C)")
    command.add_argument("--rate", type=sample_rate, default=50.0, metavar="HZ", help="samples a second (50)")
    command.add_argument("--seed", type=seed, default=0, help="the same seed gives the same wearers (0)")
    command.add_argument("--topic", type=sensor_topic, help=f"(the daemon's, else {SENSOR_TOPIC})")
    command.add_argument(
        "--format",
        choices=[name for name in FORMATS if name != "mapping"],
        default="json",
        metavar="NAME",
        help=f"of the messages: {', '.join(name for name in FORMATS if name != 'mapping')} (json)",
    )
    command.add_argument("--one-activity", metavar="NAME", help="all wearers do this all the time")


def _replay(command: argparse.ArgumentParser) -> None:
    _recording(command)
    _broker(command)
    command.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="X",
        help="times real time; 0 is as fast as the broker acknowledges (1)",
    )
    command.add_argument("--topic", type=sensor_topic, help=f"(the daemon's, else {SENSOR_TOPIC})")


def _label(command: argparse.ArgumentParser) -> None:
    _recording(command)
    command.add_argument(
        "--bundle", metavar="DIR", help="model bundle: a folder, or the name of a shipped one (default)"
    )
    command.add_argument("--backend", default="onnx", choices=("onnx", "torch"), help="(onnx)")
    command.add_argument("--hop", type=positive, metavar="S", help="from one window to the next (1)")
    command.add_argument(
        "--place",
        metavar="NAME",
        default="any",
        help="where the device was worn, for a bundle that has a word for it (any)",
    )
    passes = command.add_mutually_exclusive_group()
    passes.add_argument("--streaming", action="store_true", help="learn the mounting as the daemon does (the default)")
    passes.add_argument("--two-pass", action="store_true", help="learn the mounting from the whole recording first")
    command.add_argument(
        "--min-confidence",
        type=threshold,
        metavar="P",
        help="below it, accepted is false (bundle: what the bundle recommends)",
    )
    command.add_argument(
        "--min-familiar", type=threshold, metavar="P", help="the same for how familiar a window is (bundle)"
    )
    command.add_argument(
        "--states", action="store_true", help="print the changes of state that the daemon would publish"
    )
    command.add_argument("--smoothing", choices=("filter", "majority"), help="of states (filter)")
    command.add_argument(
        "--lag",
        type=lag,
        metavar="S",
        help="the state is that of so long ago, given all windows since (0)",
    )
    command.add_argument(
        "--labels",
        type=pairs,
        default=(),
        metavar="LABEL=NAME,…",
        help="a label and its name in the recording, where they differ by more than case; A|B=NAME: one of two labels",
    )
    command.add_argument("--drop", type=names, default=(), metavar="A,B,…", help="truths that are not scored")
    command.add_argument("--score", action="store_true", help="accuracy, macro-F1 and a confusion table on stderr")


def _doctor(command: argparse.ArgumentParser) -> None:
    _broker(command)
    command.add_argument("--device", metavar="D", help="only this one")
    command.add_argument("--seconds", type=positive, default=30.0, metavar="N", help="how long it listens (30)")
    command.add_argument("--json", action="store_true", help="the facts and the lines as JSON")
    command.add_argument(
        "--write",
        action="store_true",
        help="write the lines to the file of --config: all to a new one, entries of [[devices]] to an existing one",
    )


def _watch(command: argparse.ArgumentParser) -> None:
    _broker(command)
    command.add_argument("--prefix", help="of the label topics (the daemon's, else hard)")
    command.add_argument("--seconds", type=positive, metavar="N", help="how long (until Ctrl-C)")


def _bundle(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=("show", "verify"))
    command.add_argument(
        "dir", nargs="?", metavar="DIR", help="the bundle's folder, or the name of a shipped one (default)"
    )


if __name__ == "__main__":
    raise SystemExit(main())
