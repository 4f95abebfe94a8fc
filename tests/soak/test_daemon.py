"""The daemon under test."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from soak.daemon import SoakDaemon, discrepancies
from support.mosquitto import Mosquitto

from hard.commands.processes import wait_until

METRICS = {
    "hard_messages_received_total": 5.0, "hard_messages_replayed_total": 1.0, "hard_messages_queued": 2.0,
    'hard_messages_total{outcome="accepted"}': 3.0, 'hard_messages_total{outcome="rejected"}': 1.0,
    "hard_samples_decoded_total": 0.0, "hard_samples_restored_total": 0.0, "hard_samples_held": 0.0,
    "hard_windows_closed_total": 0.0, "hard_windows_restored_total": 0.0, "hard_windows_in_flight": 0.0,
}  # fmt: skip


def test_counters_that_add_up_have_no_discrepancy() -> None:
    assert discrepancies(METRICS) == []


def test_a_discrepancy_names_the_counters_and_both_sums() -> None:
    assert discrepancies(METRICS | {"hard_messages_queued": 3.0}) == ["messages: 6 in, 7 accounted for"]


@pytest.mark.slow
def test_the_daemon_can_be_killed_and_started_again(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with SoakDaemon(tmp_path, mosquitto.port, tmp_path / "state", code="print('code runs before')") as daemon:
        wait_until(daemon.subscribed, "no subscription", 60)
        assert discrepancies(daemon.metrics()) == []
        daemon.end(signal.SIGKILL)
        assert daemon.metrics() == {}
        daemon.start()
        wait_until(daemon.subscribed, "no subscription after the kill", 60)
        assert "code runs before" in daemon.log_since_start
