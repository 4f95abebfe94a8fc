"""What was really installed, once for all tests that need it; the broker as deployed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.guarded import guard
from support.mosquitto import Mosquitto
from support.scratch import install


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scratch root with HARD, really installed."""
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd-sysusers is not installed (Debian: apt install systemd)")
    root = tmp_path_factory.mktemp("root")
    install(root=root)
    return root


@pytest.fixture
def guarded(mosquitto: Mosquitto) -> Mosquitto:
    """A mosquitto under deploy/mosquitto."""
    guard(mosquitto)
    return mosquitto
