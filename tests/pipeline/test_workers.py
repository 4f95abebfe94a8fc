"""Threads that report their progress, and the lock that they take in turn."""

from __future__ import annotations

from threading import Event, Thread

import pytest
from support.listener import eventually

from hard.pipeline.workers import FairLock, Progress, Report, Worker


def test_a_thread_that_waits_comes_before_the_one_that_held_the_lock_last() -> None:
    lock, order = FairLock(), list[str]()

    def other() -> None:
        with lock:
            order.append("other")

    thread = Thread(target=other)
    with lock:
        thread.start()
        eventually(lambda: lock.awaited)
        order.append("first")
    with lock:
        order.append("again")
    thread.join(10)
    assert order == ["first", "other", "again"]
    assert not lock.awaited


def test_an_error_releases_the_lock_too() -> None:
    lock = FairLock()
    with pytest.raises(ValueError, match="no"), lock:
        raise ValueError("no")
    with lock:
        pass


def test_progress_counts_steps_and_says_whether_work_is_under_way() -> None:
    progress = Progress()
    assert (progress.steps, progress.busy) == (0, False)
    progress.begin()
    progress.step()
    assert (progress.steps, progress.busy) == (1, True)
    progress.rest()
    assert (progress.steps, progress.busy) == (2, False)


@pytest.mark.parametrize("waiting", [True, False])
def test_a_worker_has_work_while_it_is_busy_or_work_waits(waiting: bool) -> None:
    busy, go_on, rested, end = Event(), Event(), Event(), Event()

    def work(progress: Progress) -> None:
        progress.begin()
        busy.set()
        go_on.wait(60)
        progress.rest()
        rested.set()
        end.wait(60)

    worker = Worker("label", work, lambda: waiting)
    assert worker.report(5.0) == Report("label", 0, waiting, 5.0)
    worker.start()
    assert busy.wait(60)
    assert worker.report(5.0) == Report("label", 0, True, 5.0)
    go_on.set()
    assert rested.wait(60)
    assert worker.report(5.0) == Report("label", 1, waiting, 5.0)
    assert not worker.finished
    end.set()
    worker.join(60)
    assert (worker.finished, worker.error) == (True, None)


def test_a_worker_that_dies_keeps_its_error_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    def work(_: Progress) -> None:
        raise ZeroDivisionError("no")

    worker = Worker("label", work, lambda: False)
    worker.start()
    worker.join(60)
    assert not worker.finished
    assert isinstance(worker.error, ZeroDivisionError)
    assert "the label thread died" in caplog.text
