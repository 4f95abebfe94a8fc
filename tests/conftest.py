"""Fixtures that several packages' tests share: a real broker, and the recordings where they exist."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.mosquitto import Mosquitto

from hard.errors import UsageError

# The machines that test are shared and sometimes slow, so there is no time limit for an example.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time, so that a failure comes from the change. `--hypothesis-profile=search` tries others.
settings.register_profile("hard", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("hard")

THREAD_END_S = 10.0  # a thread that is ending may take so long on a busy machine
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--draw", action="store_true", help="draw the dashboards from the live test to scripts/figures")


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Daemons that a test starts keep their state with the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)


@pytest.fixture(autouse=True)
def _no_leaked_thread() -> Iterator[None]:
    """A test fails when a thread that it started outlives it."""
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + THREAD_END_S
    while leaked := [thread.name for thread in threading.enumerate() if thread not in before and thread.is_alive()]:
        assert time.monotonic() < until, f"threads outlive their test: {leaked}"
        time.sleep(0.01)


@pytest.fixture
def needs_mosquitto(tmp_path: Path) -> None:
    """Skips where mosquitto is not installed, for tests of what starts a broker of its own."""
    try:
        Mosquitto(tmp_path / "never-started")
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A started mosquitto, stopped at the end of the test."""
    try:
        broker = Mosquitto(tmp_path / "mosquitto")
    except UsageError as error:
        pytest.skip(str(error))
    with broker:
        yield broker


@pytest.fixture(scope="session")
def motionsense() -> Path:
    """The recordings beside the checkout; they are never committed, so elsewhere the test skips."""
    path = SHARED_DATA / "motionsense" / "motionsense_50hz_raw.txt.xz"
    if not path.is_file():
        pytest.skip(f"no recordings at ../shared ({path.name})")
    return path
