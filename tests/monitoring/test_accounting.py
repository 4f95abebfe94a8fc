"""The three books."""

from __future__ import annotations

from threading import Thread

from hard.monitoring.accounting import Ledger
from hard.records import Tally


def test_empty_books_balance() -> None:
    assert Ledger().books().imbalances() == []


def test_each_step_keeps_the_balance() -> None:
    ledger = Ledger()
    steps = [
        ledger.received,
        ledger.received,
        ledger.received,
        ledger.received,
        lambda: ledger.decoded(Tally(decoded=9, accepted=6, late=1, duplicate=2, used=2, windows_closed=3)),
        lambda: ledger.rejected("json"),
        lambda: ledger.rejected("oversized"),
        ledger.shed,
        ledger.published,
        lambda: ledger.abandoned("stale"),
        lambda: ledger.abandoned("failed"),
        lambda: ledger.changed(Tally(unused=4)),
    ]
    for step in steps:
        step()
        assert ledger.books().imbalances() == []
    books = ledger.books()
    assert (books.messages.malformed, books.messages.oversized, books.messages.shed, books.messages.queued) == (
        1,
        1,
        1,
        0,
    )
    assert (books.samples.buffered, books.windows.in_flight) == (0, 0)


def test_an_imbalance_is_told() -> None:
    ledger = Ledger()
    ledger.received()
    ledger.decoded(Tally(decoded=3, accepted=2))
    assert ledger.books().imbalances() == ["samples decoded: 3 in, 2 accounted for"]


def test_a_snapshot_never_sees_half_a_step() -> None:
    ledger, seen = Ledger(), []

    def work() -> None:
        for _ in range(3000):
            ledger.received()
            ledger.decoded(Tally(decoded=20, accepted=20, used=5, windows_closed=1))
            ledger.published()

    def look() -> None:
        for _ in range(1000):
            seen.extend(ledger.books().imbalances())

    threads = [Thread(target=work), Thread(target=work), Thread(target=look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == []
    assert ledger.books().samples.decoded == 120_000
