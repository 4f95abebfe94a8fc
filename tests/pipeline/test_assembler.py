"""The assembler: what it acknowledges when, what a failure costs, what it makes of ticks and of an earlier process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.assembly import DEFAULT_FRAME, GRID, START, Assembly, FakeDecoder, content, message, samples
from support.listener import eventually
from support.motion import make_rules

from hard.formats.raw_samples import PayloadError
from hard.journal.journal import GROUP_S, Journal
from hard.journal.store import Store
from hard.motion.devices import Devices
from hard.pipeline.assembler import MAX_MESSAGES_AT_ONCE, WAKE
from hard.pipeline.workers import Worker
from hard.records import Message, Samples


class FailingDecoder(FakeDecoder):
    """Raises for topics that name an error."""

    def decode(self, message: Message) -> Samples:
        if message.topic == "payload":
            raise PayloadError("fields", "x is missing")
        if message.topic == "defect":
            raise KeyError("x")
        return super().decode(message)


class FailingDevices(Devices):
    def push(self, samples: Samples) -> Any:
        if samples.device == "defect":
            raise ZeroDivisionError
        return super().push(samples)


def counts(assembly: Assembly) -> dict[str, int]:
    """Messages by outcome, those that are not zero; the counters add up."""
    counters = assembly.accounting.counters()
    assert not counters.discrepancies()
    messages = counters.messages
    names = ("received", "replayed", "decoded", "malformed", "queued")
    return {name: n for name in names if (n := getattr(messages, name))}


def wake(assembly: Assembly) -> None:
    assembly.messages.put(WAKE)
    assembly.run_once()


def test_a_message_is_acknowledged_after_the_commit_that_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembly = Assembly(tmp_path)
    write, acknowledged_before = Store.write, list[list[Message]]()

    def watched(store: Store, group: int, **what: Any) -> None:
        acknowledged_before.append(list(assembly.acknowledged))
        write(store, group, **what)

    monkeypatch.setattr(Store, "write", watched)
    first, second = message("a", 0), message("b", 1)
    assembly.receive(first)
    wake(assembly)
    assembly.receive(second)
    assert acknowledged_before == assembly.acknowledged == [], "others may be written with it"
    assembly.clock.now += GROUP_S
    wake(assembly)
    assert acknowledged_before == [[]]
    assert assembly.acknowledged == [first, second]
    wake(assembly)
    assert acknowledged_before == [[]], "nothing is left to write"
    sent_again = assembly.kill()
    assert sent_again == []
    assert Assembly(tmp_path).replayed == 2


def test_messages_that_are_there_are_taken_together(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    assembly.put(*(message("a", second) for second in range(MAX_MESSAGES_AT_ONCE + 3)))
    assembly.run_once()
    assert counts(assembly) == {"received": MAX_MESSAGES_AT_ONCE + 3, "decoded": MAX_MESSAGES_AT_ONCE, "queued": 3}
    assembly.run_once()
    assert counts(assembly) == {"received": MAX_MESSAGES_AT_ONCE + 3, "decoded": MAX_MESSAGES_AT_ONCE + 3}
    assert len(assembly.windows) == MAX_MESSAGES_AT_ONCE


@pytest.mark.parametrize(
    ("topic", "reason", "logged"),
    [
        ("payload", "fields", "rejected a message on payload: x is missing"),
        ("defect", "internal", "a message on defect could not be assembled"),
    ],
)
def test_a_message_that_cannot_be_decoded_fails_alone_and_is_acknowledged_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, topic: str, reason: str, logged: str
) -> None:
    assembly = Assembly(tmp_path, decoder=FailingDecoder())
    bad = message(topic, 0)
    assembly.receive(message("a", 0), bad, message("a", 1))
    assert assembly.acknowledged == [bad]
    assert counts(assembly) == {"received": 3, "decoded": 2, "malformed": 1}
    assert assembly.accounting.reasons()[reason] == 1
    assert logged in caplog.text
    assembly.tick()
    assert not assembly.unacknowledged


def test_a_message_that_the_devices_cannot_take_fails_alone_and_is_acknowledged_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assembly = Assembly(tmp_path, devices=FailingDevices(GRID, DEFAULT_FRAME, make_rules()))
    bad = message("defect", 0)
    assembly.receive(message("a", 0), bad, message("a", 1))
    assert assembly.acknowledged == [bad]
    assert assembly.accounting.reasons()["internal"] == 1
    assert "a message on defect could not be assembled" in caplog.text
    assembly.kill()
    again = Assembly(tmp_path)
    assert "defect" not in again.devices, "it isn't in the journal"


def test_without_a_usable_journal_messages_are_acknowledged_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assembly = Assembly(tmp_path / "file")
    assert not assembly.journal.writing
    assembly.receive(*(message("a", second) for second in range(4)))
    assert not assembly.unacknowledged
    assert len(assembly.windows) == 1


def test_what_a_defect_of_the_journal_leaves_unwritten_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembly = Assembly(tmp_path)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Journal, "commit", fail)
    assembly.receive(message("a", 0))
    with pytest.raises(ZeroDivisionError):
        assembly.tick()
    assert assembly.acknowledged == []


def test_a_message_sent_again_is_taken_once(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    first = message("untimed", 0, timed=False)
    assembly.receive(first)
    assembly.receive(replace(first, dup=True))
    assembly.tick()
    assert len(assembly.acknowledged) == 2
    assert counts(assembly) == {"received": 2, "decoded": 2}
    assert assembly.accounting.counters().samples.duplicate == 20
    assert [len(state.buffer.time) for state in assembly.devices.states()] == [20]
    assembly.kill()
    assert Assembly(tmp_path).replayed == 1


def test_messages_from_the_journal_come_first_and_not_again_from_the_broker(tmp_path: Path) -> None:
    first = Assembly(tmp_path)
    sent = [message("untimed", second, timed=False) for second in range(5)]
    first.receive(*sent)
    first.resolve(1)
    first.tick()
    first.kill()
    again = Assembly(tmp_path)
    assert counts(again) == {"replayed": 5, "decoded": 5}
    assert content(again.windows) == content(first.windows[1:])
    assert all(window.replayed for window in again.windows)
    assert again.accounting.counters().windows.published_before == 1
    again.receive(*(replace(message, dup=True) for message in sent))
    assert again.accounting.counters().samples.duplicate == 100
    assert len(again.windows) == 1
    again.receive(message("untimed", 5, timed=False))
    assert not again.windows[-1].replayed


def test_a_stop_takes_what_is_queued(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    assembly.put(message("a", 0), message("a", 1))
    assembly.stop()
    assert not assembly.unacknowledged
    assert counts(assembly) == {"received": 2, "decoded": 2}


def test_a_stop_without_time_leaves_to_the_broker_what_it_has(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    kept, lost_otherwise = message("a", 0), replace(message("a", 1), qos=0)
    assembly.put(kept, lost_otherwise)
    assembly.assembler.stop(within_s=-1.0)
    assert not assembly.run_once()
    assert assembly.unacknowledged == [kept]
    assert counts(assembly) == {"received": 2, "decoded": 1, "queued": 1}


@pytest.mark.parametrize(("durability", "unused"), [("journal", 0), ("snapshot", 0), ("none", 20)])
def test_at_the_end_open_windows_are_saved_or_their_samples_counted(
    tmp_path: Path, durability: str, unused: int
) -> None:
    assembly = Assembly(tmp_path, durability=durability)
    assembly.receive(message("a", 0))
    assembly.stop()
    assert assembly.accounting.counters().samples.unused == unused
    again = Assembly(tmp_path, durability=durability)
    assert again.accounting.counters().samples.restored == 20 - unused


def test_a_tick_commits_and_then_publishes_the_events_of_devices(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    assembly.receive(message("a", 0))
    assembly.tick(30.0)
    assert not assembly.unacknowledged
    assembly.tick(61.0)
    assert [(event.device, event.kind) for event in assembly.publisher.events] == [("a", "new"), ("a", "silent")]


def test_a_silence_is_published_after_the_last_window(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    assembly.receive(*(message("a", second) for second in range(5)))
    assembly.tick(70.0)
    assembly.tick(71.0)
    assert [event.kind for event in assembly.publisher.events] == ["new"]
    assembly.resolve()
    assembly.tick(72.0)
    assert [event.kind for event in assembly.publisher.events] == ["new", "silent"]
    assembly.tick(73.0)
    assert len(assembly.publisher.events) == 2


def test_a_silence_that_ends_before_the_last_window_is_published_is_none(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    assembly.receive(*(message("a", second) for second in range(5)))
    assembly.tick(70.0)
    assembly.receive(message("a", 80))
    assembly.tick(80.0)
    assembly.resolve()
    assembly.tick(81.0)
    assert [event.kind for event in assembly.publisher.events] == ["new", "back"]


def test_a_forgotten_device_is_forgotten_everywhere(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path, forget_after_s=50.0)
    assembly.receive(message("a", 0))
    assembly.tick(60.0)
    assert [event.kind for event in assembly.publisher.events] == ["new", "forgotten_unpublished"]
    assert assembly.accounting.counters().samples.unused == 20
    assembly.kill()
    assert len(Assembly(tmp_path).devices) == 0


def test_samples_held_for_reordering_are_released_by_a_tick_and_saved_at_once(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path, reorder_s=1.0)
    assembly.receive(*(message("a", second) for second in range(4)))
    assert not assembly.windows
    assembly.tick(6.0)
    assert [window.start for window in assembly.windows] == [samples(message("a", 0)).time[0]]  # type: ignore[index]
    assembly.kill()
    again = Assembly(tmp_path, reorder_s=1.0)
    assert again.replayed == 0
    assert content(again.windows) == content(assembly.windows)


def test_each_message_is_progress(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    before = assembly.progress.steps
    assembly.receive(*(message("a", second) for second in range(9)))
    assert assembly.progress.steps >= before + 9
    assert not assembly.progress.busy


def test_as_a_thread_it_works_until_stop_and_a_resolved_window_wakes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, resolved = Store.write, list[str]()

    def watched(store: Store, group: int, **what: Any) -> None:
        resolved.extend(entry.window_id for entry in what["resolved"])
        write(store, group, **what)

    monkeypatch.setattr(Store, "write", watched)
    assembly = Assembly(tmp_path, restore=False)
    worker = Worker("assemble", assembly.assembler.work, lambda: False)
    worker.start()

    def written_as_time_passes() -> bool:
        assembly.clock.now += GROUP_S
        return resolved == [window.window_id]

    try:
        eventually(lambda: assembly.journal.writing)
        assembly.put(*(message("a", second) for second in range(4)))
        (window,) = assembly.window_queue.take(9)
        assembly.assembler.tick(4.0)
        eventually(lambda: not assembly.unacknowledged)
        assembly.journal.mark_resolved(window)
        eventually(written_as_time_passes)
    finally:
        assembly.assembler.stop(60)
        worker.join(60)
    assert worker.finished


class ShortDecoder(FakeDecoder):
    """Of every message all that its device sends is the unit g."""

    def decode(self, message: Message) -> Samples:
        decoded = super().decode(message)
        return replace(decoded, xyz=decoded.xyz / 9.80665)


def test_windows_say_what_is_wrong_with_their_device_and_its_state_ends(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path, decoder=ShortDecoder())
    for second in range(40):
        assembly.receive(message("a", second))
        assembly.tick()
    assert assembly.diagnosis == {"a": ["unit"]}
    assert assembly.publisher.ended == ["a"]
    assert assembly.windows[0].problems == ()
    assert assembly.windows[-1].problems == ("unit",)
    usefulness = assembly.accounting.usefulness()
    assert usefulness.useless_windows == sum(bool(window.problems) for window in assembly.windows) > 0


def test_a_retained_message_gives_neither_window_nor_life(tmp_path: Path) -> None:
    assembly = Assembly(tmp_path)
    for second in range(10):
        assembly.receive(replace(message("a", second), retained=True))
    assert "a" not in assembly.devices
    assert assembly.windows == []
    assert counts(assembly) == {"received": 10, "malformed": 10}
    assert len(assembly.acknowledged) == 10
    assembly.tick()
    assert assembly.diagnosis == {"a": ["retained"]}
    assert assembly.accounting.reasons()["retained"] == 10
    assert assembly.accounting.usefulness().messages == 0


def test_a_device_whose_messages_are_refused_is_diagnosed(tmp_path: Path) -> None:
    class RefusingDecoder(FakeDecoder):
        def decode(self, message: Message) -> Samples:
            error = PayloadError("time_unit", "too large", "ingest.time_unit=ms")
            error.device = message.topic
            raise error

    assembly = Assembly(tmp_path, decoder=RefusingDecoder())
    assembly.receive(message("a", 0), message("b", 0))
    assembly.tick()
    assert assembly.diagnosis == {"a": ["time_unit"], "b": ["time_unit"]}
    assert assembly.accounting.usefulness().useless_messages == 2


def test_samples_at_a_wrong_rate_are_spaced_by_their_messages_own_times(tmp_path: Path) -> None:
    class MisstatingDecoder(FakeDecoder):
        """Of 40 samples a second it is stated that they are 20."""

        def decode(self, message: Message) -> Samples:
            first, second = super().decode(message), super().decode(replace(message))
            assert first.time is not None
            return replace(first, time=first.time[0] + np.arange(40) / 20, xyz=np.concatenate([first.xyz, second.xyz]))

    assembly = Assembly(tmp_path, decoder=MisstatingDecoder())
    for second in range(30):
        assembly.receive(message("a", second))
        assembly.tick()
    assert assembly.diagnosis == {"a": ["rate"]}
    duplicates = assembly.accounting.counters().samples.duplicate
    assert duplicates
    for second in range(30, 60):
        assembly.receive(message("a", second))
    counters = assembly.accounting.counters()
    assert counters.samples.duplicate == duplicates
    assert counters.samples.missing == 0
    assert {window.problems for window in assembly.windows[-20:]} == {("rate",)}
    assert assembly.windows[-1].end == pytest.approx(START + 60, abs=1.1)
