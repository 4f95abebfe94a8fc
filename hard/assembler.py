"""The assemble thread's work: decodes messages, feeds the devices, hands windows on, acknowledges what is safe.

One message at a time; a bad one fails alone. What an earlier process left comes first, by the same way. Owns the
devices and the journal. Knows no model.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic, time

from hard.journal import Journal
from hard.ledger import Ledger
from hard.logs import LimitedLog
from hard.metrics import Metrics
from hard.motion.devices import Devices
from hard.records import Message, Tally, Window
from hard.stream.payloads import Decoder, PayloadError
from hard.stream.pending import Pending
from hard.stream.publisher import Publisher
from hard.stream.repeats import Repeats
from hard.workers import Progress

log = logging.getLogger(__name__)
Messages = queue.Queue[Message | str | None]
WAKE = "wake"  # in the queue of messages: look at what is due


class Assembler:
    """Takes from `messages` until None comes; calls `acknowledge` for each message that is dealt with."""

    def __init__(
        self, messages: Messages, *, decoder: Decoder, devices: Devices, journal: Journal, pending: Pending,
        publisher: Publisher, ledger: Ledger, metrics: Metrics, acknowledge: Callable[[Message], None],
    ) -> None:  # fmt: skip
        self._messages, self._decoder, self._devices, self._journal = messages, decoder, devices, journal
        self._pending, self._publisher, self._ledger, self._metrics = pending, publisher, ledger, metrics
        self._acknowledge = acknowledge
        self._taken: list[Message] = []  # to be acknowledged once they are safe
        self._repeats = Repeats()
        self._limited = LimitedLog(log)
        self._due: float | None = None  # a tick for this thread, so that devices need no lock

    def tick(self, now: float) -> None:
        """From the main thread: have a look at the devices, soon."""
        self._due = now
        self.wake()

    def wake(self) -> None:
        """From any thread: have a look at what is due."""
        with suppress(queue.Full):  # then messages wake the thread
            self._messages.put_nowait(WAKE)

    def work(self, progress: Progress) -> None:
        """Until told to end."""
        self._restore(progress)
        while (item := self._next()) is not None:
            progress.begin()
            if self._due is not None:
                now, self._due = self._due, None
                self._tick_devices(now)
            if isinstance(item, Message):
                self._take(item, progress)
            if self._journal.due():
                self._commit()
            progress.rest()
        self._commit()

    def close(self) -> None:
        """Keeps what open windows hold for the next start, or lets go of it. Call when `work` has ended."""
        if not self._journal.close(self._devices):
            self._ledger.changed(self._devices.close())

    def _restore(self, progress: Progress) -> None:
        progress.begin()
        left = self._journal.start(self.wake)
        tally = self._devices.restore(left.devices, left.shift_s, whole=left.whole)
        self._ledger.restored(tally, len(left.windows))
        for window in left.windows:
            self._pending.put([window])
            progress.step()
        messages = 0
        for message in left.messages:
            progress.step()
            messages += 1
            self._ledger.replayed()
            self._assemble(message, progress, left.settled)
        if left.devices or messages:
            log.info("restored %d devices, %d windows, %d messages", len(left.devices), len(left.windows), messages)
        self._commit()
        progress.rest()

    def _next(self) -> Message | str | None:
        try:
            return self._messages.get(timeout=self._journal.wait_s())
        except queue.Empty:
            return WAKE

    def _take(self, message: Message, progress: Progress) -> None:
        if self._assemble(message, progress):
            self._taken.append(message)
        else:
            self._acknowledge(message)

    def _commit(self) -> None:
        begun, taken = monotonic(), self._taken
        self._journal.commit(self._devices)
        if taken and self._journal.writing:
            self._metrics.stage["journal"].observe(monotonic() - begun)
        self._taken = []
        for message in taken:
            self._acknowledge(message)

    def _tick_devices(self, now: float) -> None:
        self._commit()
        windows, tally, names = self._devices.release(now, time())
        self._ledger.changed(tally)
        for name in names:
            self._journal.changed(name)
        for window in windows:
            self._journal.closed(window.device, [window])
            self._pending.put([window])
        events, tally = self._devices.tick(now)
        self._ledger.changed(tally)
        for event in events:
            log.debug("%s %s", event.device, event.kind)
            if event.kind in ("forgotten", "dismissed"):
                self._pending.forget(event.device)
                self._journal.changed(event.device)
        self._commit()
        self._publisher.device_events(events)

    def _assemble(self, message: Message, progress: Progress, settled: set[str] | None = None) -> bool:
        """Whether `message` was of use. A replayed one comes with the windows `settled` before."""
        begun = monotonic()
        try:
            samples = self._decoder.decode(message)
        except PayloadError as error:
            self._ledger.rejected(error.reason)
            self._limited.warning(error.reason, "rejected a message on %.80s: %s", message.topic, error)
            return False
        decoded = monotonic()
        if self._repeats.seen(message):
            n = len(samples.xyz)
            self._ledger.decoded(Tally(decoded=n, duplicate=n))
            return True
        try:
            windows, tally = self._devices.push(samples)
        except Exception:  # a defect of ours: it costs this message, not the daemon
            self._ledger.rejected("internal")
            log.exception("a message on %.80s could not be assembled", message.topic)
            return False
        self._ledger.decoded(tally)
        if settled is None:
            self._journal.took(message, samples.device, windows)
        else:
            windows = self._again(samples.device, windows, settled)
        for window in windows:
            self._pending.put([window])  # may wait for room
            progress.step()
        self._metrics.stage["decode"].observe(decoded - begun)
        self._metrics.stage["assemble"].observe(monotonic() - decoded)
        return True

    def _again(self, device: str, windows: list[Window], settled: set[str]) -> list[Window]:
        """Of windows closed once more, those that an earlier process didn't get through."""
        open_ = [replace(window, replayed=True) for window in windows if window.window_id not in settled]
        self._ledger.abandoned("settled_before", len(windows) - len(open_))
        self._journal.closed(device, open_)
        return open_
