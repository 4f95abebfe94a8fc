"""install.sh into a scratch root: a real virtual environment, real users, and labels out of what was installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from support.scratch import SCRIPT, install

from hard.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MOST_MB = 250


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def uncommented() -> dict[str, Any]:
    """hard.toml with every setting switched on."""
    return tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", (DEPLOY / "hard.toml").read_text(), flags=re.M))


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in settings.items():
        found.update({f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value})
    return found


def defaults() -> dict[str, Any]:
    return flat({name: dict(value) if isinstance(value, BaseModel) else value for name, value in Settings()})


def test_the_settings_file_names_every_setting_with_its_default() -> None:
    shown, known = flat(uncommented()), defaults()
    assert set(shown) == set(known)
    without = {
        "client_id",
        "username",
        "password",
        "password_file",
        "ca_file",
        "cert_file",
        "key_file",
        "bundle",
        "dir",
        "mapping",
        "scale",
        "rate_hz",
    }
    for name, value in shown.items():
        if name.rpartition(".")[2] not in without:
            default = known[name]
            assert value == (list(default) if isinstance(default, tuple) else default), name


def test_as_it_ships_the_settings_file_changes_nothing() -> None:
    assert load(DEPLOY / "hard.toml").model_dump() == Settings().model_dump()


def test_the_pinned_versions_satisfy_the_package() -> None:
    from packaging.requirements import Requirement
    from packaging.version import Version

    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (DEPLOY / "constraints.txt").read_text(), flags=re.M))
    for asked in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        requirement = Requirement(asked)
        assert Version(pins[requirement.name]) in requirement.specifier, asked
    assert not {"torch", "transformers"} & set(pins)


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (Debian: apt install shellcheck)")
    done = subprocess.run([shellcheck, SCRIPT], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    for options in ((), ("--instance", "north"), ("--uninstall", "--purge")):
        done = install("--dry-run", *options, root=tmp_path)
        assert "+ rm -rf" in done.stdout
        assert "HARD is installed" not in done.stdout
        assert done.stdout.endswith("\nNothing was done (--dry-run).\n")
        assert everything(tmp_path) == set()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--nonsense",), "there is no option --nonsense"),
        (("--instance", "a/b"), "can't be a name"),
        (("--instance", "hard"), "can't be a name"),
        (("--purge",), "--purge belongs to --uninstall"),
        (("--wheel", "/nowhere.whl"), "/nowhere.whl is not there"),
    ],
)
def test_options_that_contradict_are_refused(tmp_path: Path, options: tuple[str, ...], sentence: str) -> None:
    done = install(*options, root=tmp_path, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert everything(tmp_path) == set()


@pytest.mark.slow
def test_everything_is_where_the_units_look_for_it(installed: Path) -> None:
    unit = (installed / "etc/systemd/system/hard.service").read_text()
    program, settings = re.findall(r"^ExecStart=(\S+) run --config (\S+)$", unit, flags=re.M)[0]
    assert (installed / program.lstrip("/")).read_text().startswith("#!/opt/hard/bin/python")
    assert (installed / settings.lstrip("/")).read_text() == (DEPLOY / "hard.toml").read_text()
    (user,) = re.findall(r"^User=(\S+)$", unit, flags=re.M)
    assert re.search(rf"^{user}:.*:/usr/sbin/nologin$", (installed / "etc/passwd").read_text(), flags=re.M)
    assert (installed / "etc/hard/credentials").stat().st_mode & 0o777 == 0o700
    closed = [path for path in (installed / "opt/hard").rglob("*") if not path.stat().st_mode & 0o004]
    assert closed == [], "the service's user can't read them"
    left = subprocess.run(["grep", "-rIlF", str(installed), installed], check=False, capture_output=True, text=True)
    assert left.stdout == "", "the scratch root is named in what was installed"


@pytest.mark.slow
def test_it_is_small_and_without_torch(installed: Path) -> None:
    size_mb = sum(path.lstat().st_blocks * 512 for path in (installed / "opt/hard").rglob("*")) / 1e6
    print(f"installed: {size_mb:.0f} MB")
    assert size_mb < MOST_MB
    packages = {path.name for path in installed.glob("opt/hard/lib/python3*/site-packages/*")}
    assert "onnxruntime" in packages
    assert not {"torch", "transformers"} & packages


@pytest.mark.slow
def test_an_upgrade_by_a_wheel_keeps_settings_and_state_and_gives_an_instance_its_own(
    installed: Path, tmp_path: Path
) -> None:
    settings, state = installed / "etc/hard/hard.toml", installed / "var/lib/hard/something"
    state.parent.mkdir(parents=True, exist_ok=True)
    mine = settings.read_text() + "# mine\n"
    settings.write_text(mine)
    state.write_text("mine")
    (installed / "etc/hard/south.toml").write_text("[metrics]\nport = 9111\n")
    stale = installed / "opt/hard/stale"
    stale.touch()
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(wheel, check=True, capture_output=True, timeout=300)
    install("--wheel", str(next(tmp_path.glob("*.whl"))), "--instance", "north", root=installed)
    assert (settings.read_text(), state.read_text(), stale.exists()) == (mine, "mine", False)
    north = load(installed / "etc/hard/north.toml", ["instance=north"])
    assert north.metrics.port == 9112
    assert north.client_id.endswith("-north")
    assert (installed / "etc/hard/credentials/north").is_dir()


@pytest.mark.slow
def test_a_failed_upgrade_keeps_the_version_that_runs(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "broken-1-py3-none-any.whl").touch()
    program = installed / "opt/hard/bin/hard"
    before = program.stat()
    done = install("--wheel", str(tmp_path / "broken-1-py3-none-any.whl"), root=installed, check=False)
    assert done.returncode != 0
    assert program.stat().st_ino == before.st_ino


@pytest.mark.slow
def test_uninstall_keeps_settings_and_state_and_purge_removes_them(installed: Path) -> None:
    (installed / "var/lib/hard").mkdir(parents=True, exist_ok=True)
    copy = installed.parent / "copy"
    shutil.copytree(installed, copy, symlinks=True)
    install("--uninstall", root=copy)
    left = everything(copy)
    assert {"etc/hard/hard.toml", "var/lib/hard"} <= left
    assert not {name for name in left if name.startswith("opt/hard") or name.endswith((".service", "hard.conf"))}
    install("--uninstall", "--purge", root=copy)
    assert not {name for name in everything(copy) if name.startswith(("etc/hard", "var/lib/hard"))}
