"""Signals wake `wait` within the context, and are handled as before after it."""

from __future__ import annotations

import os
import signal
import time
from threading import Thread

from hard.daemon.os_signals import Signals


def test_without_a_signal_wait_ends_after_its_time() -> None:
    with Signals([signal.SIGHUP]) as signals:
        begun = time.monotonic()
        assert signals.wait(0.05) is None
        assert time.monotonic() - begun >= 0.05


def test_each_signal_is_given_once() -> None:
    with Signals([signal.SIGHUP, signal.SIGTERM]) as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        assert {signals.wait(10), signals.wait(10)} == {signal.SIGHUP, signal.SIGTERM}
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.wait(10) is signal.SIGHUP
        assert signals.wait(0) is None


def test_a_signal_that_comes_while_it_waits_wakes_it() -> None:
    with Signals([signal.SIGHUP]) as signals:
        sender = Thread(target=lambda: (time.sleep(0.05), os.kill(os.getpid(), signal.SIGHUP)))
        sender.start()
        assert signals.wait(60) is signal.SIGHUP
        sender.join()


def test_afterwards_handlers_and_wakeup_descriptor_are_as_before() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: seen.append(number))
    try:
        with Signals([signal.SIGHUP]) as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.wait(10) is signal.SIGHUP
        assert seen == []
        os.kill(os.getpid(), signal.SIGHUP)
        assert seen == [signal.SIGHUP]
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGHUP, before)
