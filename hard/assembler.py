"""The assemble thread's work: decodes messages, feeds the devices, hands windows on, acknowledges. Owns the devices.

One message at a time; a bad one fails alone. Knows no model.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from hard.ledger import Ledger
from hard.logs import LimitedLog
from hard.metrics import Metrics
from hard.motion.devices import Devices
from hard.records import Message
from hard.stream.payloads import Decoder, PayloadError
from hard.stream.pending import Pending
from hard.stream.publisher import Publisher
from hard.workers import Progress

log = logging.getLogger(__name__)
Messages = queue.Queue[Message | str | None]
WAKE = "wake"  # in the queue of messages: look at what is due


class Assembler:
    """Takes from `messages` until None comes; calls `acknowledge` for each message that is dealt with."""

    def __init__(
        self, messages: Messages, *, decoder: Decoder, devices: Devices, pending: Pending, publisher: Publisher,
        ledger: Ledger, metrics: Metrics, acknowledge: Callable[[Message], None],
    ) -> None:  # fmt: skip
        self._messages, self._decoder, self._devices, self._pending = messages, decoder, devices, pending
        self._publisher, self._ledger, self._metrics, self._acknowledge = publisher, ledger, metrics, acknowledge
        self._limited = LimitedLog(log)
        self._due: float | None = None  # a tick for this thread, so that devices need no lock

    def tick(self, now: float) -> None:
        """From the main thread: have a look at the devices, soon."""
        self._due = now
        with suppress(queue.Full):  # then messages wake the thread
            self._messages.put_nowait(WAKE)

    def work(self, progress: Progress) -> None:
        """Until told to end."""
        while (item := self._messages.get()) is not None:
            progress.begin()
            if self._due is not None:
                now, self._due = self._due, None
                self._tick_devices(now)
            if isinstance(item, Message):
                self._assemble(item, progress)
                self._acknowledge(item)
            progress.rest()

    def close(self) -> None:
        """Lets go of what open windows held, for the books at the end. Call when `work` has ended."""
        self._ledger.changed(self._devices.close())

    def _tick_devices(self, now: float) -> None:
        events, tally = self._devices.tick(now)
        self._ledger.changed(tally)
        for event in events:
            log.debug("%s %s", event.device, event.kind)
            if event.kind == "forgotten":
                self._pending.forget(event.device)
        self._publisher.device_events(events)

    def _assemble(self, message: Message, progress: Progress) -> None:
        begun = monotonic()
        try:
            samples = self._decoder.decode(message)
        except PayloadError as error:
            self._ledger.rejected(error.reason)
            self._limited.warning(error.reason, "rejected a message on %.80s: %s", message.topic, error)
            return
        decoded = monotonic()
        try:
            windows, tally = self._devices.push(samples)
        except Exception:  # a defect of ours: it costs this message, not the daemon
            self._ledger.rejected("internal")
            log.exception("a message on %.80s could not be assembled", message.topic)
            return
        self._ledger.decoded(tally)
        for window in windows:
            self._pending.put([window])  # may wait for room
            progress.step()
        self._metrics.stage["decode"].observe(decoded - begun)
        self._metrics.stage["assemble"].observe(monotonic() - decoded)
