"""One load on one server, and the search for the greatest number of devices."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import bare, endtoend, plain
from benchmarks.endtoend import LoadTrial, Server, trial
from benchmarks.generator import Order, TimedLabel
from msgspec import json

from hard.errors import CommandError
from hard.model import bundle


@pytest.mark.parametrize("most", [3, 700, 1000, 2600, 9000])
def test_the_search_finds_the_greatest_number_of_devices(most: int) -> None:
    def run(devices: int) -> LoadTrial:
        labels = 10 if devices <= most else 9
        return LoadTrial(devices, 1.0, 10, labels, 0.1, 0.1, 0.1, 0, 0, 0, 0, 0, 0, 0, 0)

    best, tried = endtoend.greatest(run, 1000, finest=0.2)
    assert best is not None
    assert best.devices <= most <= best.devices * 1.25 + 1
    assert len(tried) < 30


def test_a_trial_is_in_time_only_with_all_labels_soon_under_the_whole_load() -> None:
    def made(labels: int = 10, p99_s: float = 0.1, behind_s: float = 0.0) -> LoadTrial:
        return LoadTrial(1, 1.0, 10, labels, 0.1, p99_s, 0.1, behind_s, 0, 0, 0, 0, 0, 0, 0)

    assert made().in_time
    assert not made(labels=9).complete
    assert not made(behind_s=1.0).complete
    assert made(p99_s=1.0).complete
    assert not made(p99_s=1.0).in_time


def test_the_label_of_the_bare_script_reads_like_one_of_hard() -> None:
    assert json.decode(bare.LABEL, type=TimedLabel).latency_s.total == 0.0


@pytest.mark.slow
@pytest.mark.usefixtures("needs_mosquitto")
def test_a_daemon_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    order = Order(port=0, devices=1, messages_s=1.0, seconds=1.0)
    with pytest.raises(CommandError, match="ended with exit code 2"):
        trial(endtoend.hard("no.such=setting"), tmp_path, order)


@pytest.mark.slow
@pytest.mark.usefixtures("needs_mosquitto")
@pytest.mark.parametrize(
    ("server", "fill_s", "window_s"),
    [
        (endtoend.hard(), 3.0, 4.0),
        (endtoend.script(bare.__name__.partition(".")[2]), 0.0, 1.0),
        (endtoend.script(plain.__name__.partition(".")[2], bundle.find()), 3.0, 4.0),
    ],
    ids=lambda value: value.name if isinstance(value, Server) else "",
)
def test_every_server_labels_what_it_is_sent(server: Server, fill_s: float, window_s: float, tmp_path: Path) -> None:
    order = Order(port=0, devices=2, messages_s=2.0, seconds=1.0, fill_s=fill_s, window_s=window_s)
    found = trial(server, tmp_path, order)
    assert found.labels == found.expected == 2
    assert found.rss_mb > 0
    assert found.ready_s > 0
    assert (found.batch > 0) == (server.name == "hard")
