"""The `hard` command: help that imports nothing heavy, exit codes, one sentence on stderr."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hard import __version__, cli
from hard.commands.processes import free_port
from hard.errors import CommandError, UsageError

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("run", "check-config", "health", "demo", "simulate", "replay", "label", "watch", "bundle")
HEAVY = (
    "numpy",
    "onnxruntime",
    "paho",
    "pydantic",
    "pydantic_settings",
    "rich",
    "msgspec",
    "sentencepiece",
    "tokenizers",
    "torch",
    "amqtt",
)
HELP = """
import sys
from hard.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0, end.code
print(sorted(name for name in sys.modules if name in {heavy!r}), file=sys.stderr)
"""


def hard(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hard", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), *((name, "--help") for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    program = HELP.replace("{heavy!r}", repr(set(HEAVY)))
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
    assert done.stdout.startswith("hard " if "--version" in arguments else "usage: hard")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in COMMANDS)


def test_every_command_has_its_file() -> None:
    for name in COMMANDS:
        assert (ROOT / "hard" / "commands" / f"{name.replace('-', '_')}.py").is_file()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"hard {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("simulate", "--devices", "0"),
        ("simulate", "--rate", "nan"),
        ("simulate", "--rate", "1e8"),
        ("simulate", "--rate", "1e-3"),
        ("simulate", "--seed", "-1"),
        ("demo", "--seed", "-1"),
        ("simulate", "--topic", "sensors/accel"),
        ("replay", "x", "--speed", "-1"),
        ("replay", "x", "--speed", "1e-12"),
        ("replay", "x", "--rate", "1e-300"),
        ("label", "x", "--rate", "inf"),
        ("label",),
        ("label", "x", "--hop", "0"),
        ("label", "x", "--min-confidence", "1.5"),
        ("label", "x", "--subjects", ","),
        ("bundle", "burn"),
    ],
)
def test_bad_arguments_are_exit_code_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "hard" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "stderr"),
    [
        (UsageError("it can't be used"), 2, "hard: it can't be used\n"),
        (CommandError("it is not there"), 1, "hard: it is not there\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_exit_codes(
    raised: BaseException, code: int, stderr: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(_: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setattr(cli, "import_module", lambda _: SimpleNamespace(main=main))
    assert cli.main(["watch"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", stderr)


def test_settings_reach_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[argparse.Namespace] = []
    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(main=lambda args: seen.append(args) or 0))
    arguments = ["run", "--config", "a.toml", "--set", "mqtt.port=1", "--set", "labels.hop_s=2", "--log-level", "debug"]
    assert cli.main(arguments) == 0
    assert seen[0].config == Path("a.toml")
    assert seen[0].overrides == ["mqtt.port=1", "labels.hop_s=2", "log_level=debug"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("label", "absent.txt"),
        ("label", "pyproject.toml"),
        ("replay", "absent.txt"),
        ("bundle", "show", "absent"),
        ("bundle", "verify", "absent"),
        ("watch", "--broker", "http://localhost"),
        ("watch", "--prefix", "a/#"),
        ("simulate", "--broker", "mqtt://"),
        ("demo", "--broker", "mqtt://host:port"),
        ("run", "--set", "mqtt.port=many"),
        ("check-config", "--set", "nonsense"),
    ],
)
def test_refusals_are_one_sentence(arguments: tuple[str, ...]) -> None:
    done = hard(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("hard: ")
    assert done.stderr.count("\n") == 1


def test_no_broker_is_a_failure_of_one_sentence() -> None:
    port = free_port()
    done = hard("watch", "--broker", f"mqtt://127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stderr == f"hard: no broker answers at 127.0.0.1:{port} (Connection refused)\n"
