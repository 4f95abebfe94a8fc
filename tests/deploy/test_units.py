"""The units: checked by systemd-analyze, and compared with the settings that they run with."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hard.daemon.daemon import SHUTDOWN_MARGIN_S
from hard.settings import Settings

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
NAMES = ("hard.service", "hard@.service")
MOST_EXPOSED = 15  # tenths, of systemd-analyze security


def of(name: str, key: str) -> list[str]:
    """All values of a key, in order."""
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), flags=re.M)


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt install systemd)")
    return found


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The units with a program that exists, which `verify` wants."""
    for name in NAMES:
        (tmp_path / name).write_text((UNITS / name).read_text().replace("/opt/hard/bin/hard", "/bin/true"))
    return tmp_path


def run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_systemd_verifies_both_units(analyze: str, copies: Path) -> None:
    assert run(analyze, "verify", *(copies / name for name in NAMES)) == (0, "")


def test_verify_reports_a_wrong_value(analyze: str, copies: Path) -> None:
    unit = copies / "hard.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSec=soon"))
    assert "ignoring: soon" in run(analyze, "verify", unit)[1]


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_little_exposed(analyze: str, copies: Path, name: str) -> None:
    code, error = run(analyze, "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED}", copies / name)
    assert (code, error) == (0, "")


def test_a_unit_with_less_protection_exceeds_the_threshold(analyze: str, copies: Path) -> None:
    unit = copies / "hard.service"
    unit.write_text(unit.read_text().replace("CapabilityBoundingSet=\n", "").replace("PrivateUsers=yes\n", ""))
    command = (analyze, "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
    assert run(*command)[0] == 1


def test_the_template_is_the_unit_but_for_the_instances_own_names() -> None:
    plain, template = ((UNITS / name).read_text().partition("[Unit]")[2] for name in NAMES)
    for own, common in (
        ("Daemon: %i", "Daemon"),
        ("/etc/hard/%i.toml --set instance=%i", "/etc/hard/hard.toml"),
        ("StateDirectory=hard/@%i", "StateDirectory=hard"),
        ("SyslogIdentifier=hard@%i", "SyslogIdentifier=hard"),
        ("/credentials/%i/", "/credentials/"),
    ):
        assert own in template
        template = template.replace(own, common)
    assert template == plain


@pytest.mark.parametrize("name", NAMES)
def test_systemd_waits_longer_than_a_stop_takes(name: str) -> None:
    assert [float(v) for v in of(name, "TimeoutStopSec")] == [pytest.approx(30)]
    assert Settings().grace_s + SHUTDOWN_MARGIN_S <= 30


@pytest.mark.parametrize("name", NAMES)
def test_the_daemon_ends_itself_when_stuck_before_systemd_kills_it(name: str) -> None:
    (interval_s,) = of(name, "WatchdogSec")
    assert float(interval_s) >= Settings().stuck_after_s + Settings().grace_s + SHUTDOWN_MARGIN_S


@pytest.mark.parametrize("name", NAMES)
def test_every_credential_has_an_empty_default_so_that_it_may_be_missing(name: str) -> None:
    loaded = [value.partition(":")[0] for value in of(name, "LoadCredential")]
    assert loaded == ["password", "ca.pem", "cert.pem", "key.pem"]
    assert of(name, "SetCredential") == [f"{credential}:\\n" for credential in loaded]


@pytest.mark.parametrize("name", NAMES)
def test_a_system_call_that_is_not_allowed_fails_and_does_not_kill(name: str) -> None:
    assert of(name, "SystemCallErrorNumber") == ["EPERM"]
    assert of(name, "MemoryDenyWriteExecute") == []  # breaks torch
