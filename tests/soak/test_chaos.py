"""The short version of scripts/chaos.py: real kills of a real daemon and a real broker."""

from __future__ import annotations

import chaos
import pytest
from support.scripts import script


def test_the_number_of_faults_has_defaults() -> None:
    options = chaos.parser().parse_args([])
    assert (options.minutes, options.kills, options.broker_kills, options.devices) == (30, 100, 30, 50)


@pytest.mark.slow
@pytest.mark.usefixtures("needs_mosquitto")
def test_nothing_is_lost_when_daemon_and_broker_are_killed_again_and_again() -> None:
    options = ("--minutes", "0.75", "--kills", "6", "--broker-kills", "3", "--aimed", "0.5", "--most-repeats", "0.3")
    done = script("chaos.py", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'kill_daemon': 6" in done.stdout
    assert "'kill_broker': 3" in done.stdout
    assert " 0 missing" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("needs_mosquitto")
def test_at_twice_the_sustainable_load_memory_is_flat_and_counters_add_up() -> None:
    done = script("chaos.py", "--overload", "--minutes", "0.75")
    # How old labels are depends on other work on this machine; the long version judges it.
    assert "normal again" in done.stdout, done.stdout + done.stderr
    assert "memory grows" not in done.stdout, done.stdout
    assert "nothing was degraded" not in done.stdout, done.stdout
    assert "counters:" not in done.stdout, done.stdout
