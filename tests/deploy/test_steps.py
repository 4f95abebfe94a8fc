"""The commands in deploy/*.md: our commands accept the options, and every file exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.scratch import SCRIPT, install

from hard import cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted((ROOT / "deploy").rglob("*.md"))


def lines(document: Path) -> list[str]:
    """The lines of its shell blocks, continued ones joined."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), flags=re.S)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line]


def words(line: str) -> list[str]:
    return shlex.split(line.partition(" # ")[0].rstrip("& "))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documented_commands_are_accepted(document: Path, tmp_path: Path) -> None:
    for line in lines(document):
        command = words(line)
        if command[0] == "/opt/hard/bin/hard":
            cli.parser().parse_args(command[1:])
        elif command[0] == "deploy/install.sh":
            install("--dry-run", *command[1:], root=tmp_path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(document: Path) -> None:
    for line in lines(document):
        for word in words(line):
            if word.startswith("deploy/") and "secrets" not in word:
                assert list(ROOT.glob(word.removesuffix("/."))), (line, word)


def test_the_documents_have_commands() -> None:
    commands = [words(line)[0] for document in DOCUMENTS for line in lines(document)]
    assert commands.count("/opt/hard/bin/hard") >= 3
    assert commands.count("deploy/install.sh") >= 1


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ((), ["daemon-reload", "try-restart hard.service hard@*.service", "enable --now hard.service"]),
        (
            ("--instance", "north"),
            ["daemon-reload", "try-restart hard.service hard@*.service", "enable --now hard@north.service"],
        ),
        (("--no-start",), ["daemon-reload", "try-restart hard.service hard@*.service"]),
        (("--uninstall",), ["disable --now hard.service", "stop hard@*.service", "daemon-reload"]),
    ],
)
def test_where_systemd_runs_the_units_are_reloaded_and_started(options: tuple[str, ...], calls: list[str]) -> None:
    """A dry run where /run/systemd/system is, as on a machine that systemd booted."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        pytest.skip("bubblewrap is not installed (Debian: apt install bubblewrap)")
    inside = [bwrap, "--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/run", "--dir", "/run/systemd/system", "--"]
    if subprocess.run([*inside, "/bin/true"], check=False, capture_output=True, timeout=60).returncode:
        pytest.skip("bubblewrap may not make namespaces here")
    done = subprocess.run(
        [*inside, SCRIPT, "--dry-run", *options], check=True, capture_output=True, text=True, timeout=60
    )
    assert re.findall(r"^\+ systemctl (.*)$", done.stdout, flags=re.M) == calls
