"""When faults come, and what fails a run."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from soak.daemon import SoakDaemon
from soak.faults import FaultOptions, Faults, Observations, report
from soak.proxy import Proxy
from soak.workload import Subscriber, WorkloadResult
from support.mosquitto import Mosquitto

OPTIONS = FaultOptions(
    minutes=10, kills=20, broker_kills=6, devices=1, aimed=0.0, max_repeats=0.02, seed=0
)  # fmt: skip
GOOD = WorkloadResult(expected=100, missing=[], lost_by_broker=1, repeats=2, unknown=0)


@pytest.fixture
def faults(mosquitto: Mosquitto, tmp_path: Path) -> Faults:
    """Of a broker and a daemon that are not disturbed."""
    daemon = SoakDaemon(tmp_path, mosquitto.port, tmp_path / "state")
    return Faults(mosquitto, daemon, Proxy(mosquitto.port, 0), None, seed=0)


def test_the_daemon_is_disturbed_before_the_broker(faults: Faults) -> None:
    times = faults.schedule(600, OPTIONS)
    assert times == sorted(times)
    counts = Counter(fault for _, fault in times)
    assert counts == {"kill_daemon": 20, "stop_daemon": 2, "cut": 6, "corrupt": 2, "delay": 1, "fill_disk": 1,
                      "kill_broker": 6, "stop_broker": 1}  # fmt: skip
    assert max(at for at, fault in times if fault == "kill_daemon") < 360
    assert min(at for at, fault in times if fault == "kill_broker") > 360
    assert max(at for at, _ in times) < 600


def test_aimed_faults_come_amid_a_burst(faults: Faults) -> None:
    times = faults.schedule(600, dataclasses.replace(OPTIONS, aimed=1.0))
    assert all(at % 1 < 0.15 for at, _ in times)


def judged(
    verdict: WorkloadResult = GOOD, *, sizes: tuple[tuple[float, int, int], ...] = ((70.0, 100, 10), (90.0, 110, 12)),
    discrepancies: tuple[str, ...] = (), balanced: bool = True, code: int = 0,
) -> int:  # fmt: skip
    observed = Observations(sizes=list(sizes), discrepancies=list(discrepancies))
    subscriber = Subscriber(port=1)  # not connected
    subscriber.health = {"balanced": balanced}
    return report(observed, verdict, subscriber, code=code, disk=True, options=OPTIONS)


def test_a_run_without_a_problem_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert judged() == 0
    assert "100 expected, 0 missing, 1 lost by the" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (lambda: judged(WorkloadResult(100, ["a:1"], 0, 0, 0)), "missing: ['a:1']"),
        (lambda: judged(WorkloadResult(100, [], 0, 0, 1)), "missing: []"),
        (lambda: judged(WorkloadResult(100, [], 0, 3, 0)), "too many repeats"),
        (lambda: judged(discrepancies=("samples",)), "counters don't add up"),
        (lambda: judged(balanced=False), "counters don't add up"),
        (lambda: judged(sizes=((70.0, 100, 10), (90.0, 121, 10))), "memory or descriptors grow"),
        (lambda: judged(sizes=((70.0, 100, 10), (90.0, 100, 21))), "memory or descriptors grow"),
        (lambda: judged(code=3), "the daemon ended by itself: [], exit code 3"),
    ],
)
def test_each_problem_fails_the_run(code, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code() == 1
    assert f"FAILED: {problem}" in capsys.readouterr().out
