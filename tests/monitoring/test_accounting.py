"""The counters of messages, samples and windows balance at any moment."""

from __future__ import annotations

from threading import Thread

from hard.monitoring.accounting import Accounting
from hard.records import CounterDelta


def test_empty_counters_balance() -> None:
    assert Accounting().counters().discrepancies() == []


def test_each_step_keeps_the_balance() -> None:
    accounting = Accounting()
    steps = [
        accounting.received,
        accounting.received,
        accounting.received,
        accounting.received,
        lambda: accounting.decoded(CounterDelta(decoded=9, accepted=6, late=1, duplicate=2, used=2, windows_closed=3)),
        lambda: accounting.rejected("json"),
        lambda: accounting.rejected("oversized"),
        accounting.shed,
        accounting.published,
        lambda: accounting.abandoned("stale"),
        lambda: accounting.abandoned("failed"),
        lambda: accounting.changed(CounterDelta(unused=4)),
    ]
    for step in steps:
        step()
        assert accounting.counters().discrepancies() == []
    counters = accounting.counters()
    messages = counters.messages
    assert (messages.malformed, messages.oversized, messages.shed, messages.queued) == (1, 1, 1, 0)
    assert (counters.samples.buffered, counters.windows.in_flight) == (0, 0)


def test_samples_left_out_and_messages_of_other_sensors_are_counted_beside_the_balances() -> None:
    accounting = Accounting()
    accounting.received()
    accounting.decoded(CounterDelta(decoded=3, accepted=3), (("not_finite", 2), ("time", 1)))
    accounting.received()
    accounting.rejected("other_sensor")
    counters = accounting.counters()
    assert counters.discrepancies() == []
    assert (counters.samples.decoded, counters.samples.invalid) == (3, 3)
    assert (counters.messages.decoded, counters.messages.malformed) == (2, 0)
    assert accounting.invalid() == {"not_finite": 2, "time": 1}
    assert accounting.reasons()["other_sensor"] == 1


def test_a_discrepancy_is_a_sentence() -> None:
    accounting = Accounting()
    accounting.received()
    accounting.decoded(CounterDelta(decoded=3, accepted=2))
    assert accounting.counters().discrepancies() == ["samples decoded: 3 in, 2 accounted for"]


def test_a_snapshot_never_sees_half_a_step() -> None:
    accounting, seen = Accounting(), []

    def work() -> None:
        for _ in range(3000):
            accounting.received()
            accounting.decoded(CounterDelta(decoded=20, accepted=20, used=5, windows_closed=1))
            accounting.published()

    def look() -> None:
        for _ in range(1000):
            seen.extend(accounting.counters().discrepancies())

    threads = [Thread(target=work), Thread(target=work), Thread(target=look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == []
    assert accounting.counters().samples.decoded == 120_000
