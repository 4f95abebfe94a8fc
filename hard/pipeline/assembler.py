"""The assemble thread's work: decodes messages, feeds the devices, hands windows on, acknowledges what is safe.

It takes the messages that are there together; a bad one fails alone. What an earlier process left comes first, by the
same way. Owns the devices and the journal. Knows no model.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic, time

from hard.formats.payloads import Decoder, PayloadError
from hard.journal.journal import Journal
from hard.monitoring.accounting import Accounting
from hard.monitoring.metrics import Metrics
from hard.monitoring.rate_limited_log import RateLimitedLog
from hard.motion.devices import Devices
from hard.outputs.publisher import Publisher
from hard.pipeline.redeliveries import Redeliveries
from hard.pipeline.window_queue import WindowQueue
from hard.pipeline.workers import FairLock, Progress
from hard.records import CounterDelta, Message, Window

log = logging.getLogger(__name__)
Messages = queue.SimpleQueue[Message | str | None]
WAKE = "wake"  # in the queue of messages: look at what is due
AT_ONCE = 32  # messages in one turn: some 3 ms, for which labelling waits


class Assembler:
    """Takes from `messages` until told to stop; calls `acknowledge` for each message that is dealt with."""

    def __init__(
        self, messages: Messages, *, decoder: Decoder, devices: Devices, journal: Journal, window_queue: WindowQueue,
        publisher: Publisher, accounting: Accounting, metrics: Metrics, lock: FairLock,
        acknowledge: Callable[[Message], None],
    ) -> None:  # fmt: skip
        self._messages, self._decoder, self._devices, self._journal = messages, decoder, devices, journal
        self._window_queue, self._publisher, self._accounting = window_queue, publisher, accounting
        self._metrics, self._lock, self._acknowledge = metrics, lock, acknowledge
        self._taken: list[Message] = []  # to be acknowledged once they are safe
        self._repeats = Redeliveries()
        self._limited = RateLimitedLog(log)
        self._take_until = float("inf")  # monotonic
        self._due: float | None = None  # a tick for this thread, so that devices need no lock

    def tick(self, now: float) -> None:
        """From the main thread: have a look at the devices, soon."""
        self._due = now
        self.wake()

    def wake(self) -> None:
        """From any thread: have a look at what is due."""
        self._messages.put(WAKE)

    def stop(self, within_s: float) -> None:
        """From any thread: `work` ends. What is queued is taken within that time; what came at QoS 1 then stays
        unacknowledged and so with the broker, for the next start. Nobody else has what came at QoS 0."""
        self._take_until = monotonic() + within_s
        self._messages.put(None)

    def work(self, progress: Progress) -> None:
        """Until told to stop."""
        self._restore(progress)
        ended = False
        while not ended:
            items = self._next()
            progress.begin()
            if self._due is not None:
                now, self._due = self._due, None
                self._tick_devices(now, progress)
            self._take([item for item in items if isinstance(item, Message)], progress)
            ended = None in items
            if self._journal.due():
                self._commit()
            progress.rest()
        self._commit()

    def close(self) -> None:
        """Keeps what open windows hold for the next start, or lets go of it. Call when `work` has ended."""
        if not self._journal.close(self._devices):
            self._accounting.changed(self._devices.close())

    def _restore(self, progress: Progress) -> None:
        progress.begin()
        left = self._journal.start(self.wake)
        delta = self._devices.restore(left.devices, left.shift_s, whole=left.whole)
        self._accounting.restored(delta, len(left.windows))
        self._window_queue.put(left.windows, progress.step)
        messages = 0
        for message in left.messages:
            progress.step()
            messages += 1
            self._accounting.replayed()
            with self._lock:
                windows = self._assemble(message, left.settled)
            self._window_queue.put(windows or (), progress.step)
        if left.devices or messages:
            log.info("restored %d devices, %d windows, %d messages", len(left.devices), len(left.windows), messages)
        self._commit()
        progress.rest()

    def _next(self) -> list[Message | str | None]:
        """Waits for one, and takes what else is there."""
        try:
            items = [self._messages.get(timeout=self._journal.wait_s())]
        except queue.Empty:
            return [WAKE]
        more = min(self._messages.qsize(), AT_ONCE - 1)  # nobody else takes
        items += [self._messages.get() for _ in range(more)]
        return items

    def _take(self, messages: Sequence[Message], progress: Progress) -> None:
        closed: list[Window] = []
        with self._lock:
            for message in messages:
                if message.qos and monotonic() > self._take_until:
                    continue
                windows = self._assemble(message)
                progress.step()
                if windows is None:
                    self._acknowledge(message)
                else:
                    self._taken.append(message)
                    closed += windows
        self._window_queue.put(closed, progress.step)  # may wait for room

    def _commit(self) -> None:
        begun, taken = monotonic(), self._taken
        self._journal.commit(self._devices)
        if taken and self._journal.writing:
            self._metrics.stage["journal"].observe(monotonic() - begun)
        self._taken = []
        for message in taken:
            self._acknowledge(message)

    def _tick_devices(self, now: float, progress: Progress) -> None:
        self._commit()
        windows, delta, names = self._devices.release(now, time())
        self._accounting.changed(delta)
        for name in names:
            self._journal.changed(name)
        for window in windows:
            self._journal.closed(window.device, [window])
        self._window_queue.put(windows, progress.step)
        events, delta = self._devices.tick(now)
        self._accounting.changed(delta)
        for event in events:
            log.debug("%s %s", event.device, event.kind)
            if event.kind in ("forgotten", "dismissed"):
                self._window_queue.forget(event.device)
                self._journal.changed(event.device)
        self._commit()
        self._publisher.device_events(events)

    def _assemble(self, message: Message, settled: set[str] | None = None) -> list[Window] | None:
        """The windows that `message` closes, or None where it is of no use. A replayed one comes with the windows
        `settled` before."""
        begun = monotonic()
        try:
            samples = self._decoder.decode(message)
        except PayloadError as error:
            self._accounting.rejected(error.reason)
            self._limited.warning(error.reason, "rejected a message on %.80s: %s", message.topic, error)
            return None
        decoded = monotonic()
        if self._repeats.seen(message):
            n = len(samples.xyz)
            self._accounting.decoded(CounterDelta(decoded=n, duplicate=n))
            return []
        try:
            windows, delta = self._devices.push(samples)
        except Exception:  # a defect of ours: it costs this message, not the daemon
            self._accounting.rejected("internal")
            log.exception("a message on %.80s could not be assembled", message.topic)
            return None
        self._accounting.decoded(delta)
        if settled is None:
            self._journal.took(message, samples.device, windows)
        else:
            windows = self._again(samples.device, windows, settled)
        self._metrics.stage["decode"].observe(decoded - begun)
        self._metrics.stage["assemble"].observe(monotonic() - decoded)
        return windows

    def _again(self, device: str, windows: list[Window], settled: set[str]) -> list[Window]:
        """Of windows closed once more, those that an earlier process didn't get through."""
        open_ = [replace(window, replayed=True) for window in windows if window.window_id not in settled]
        self._accounting.abandoned("published_before", len(windows) - len(open_))
        self._journal.closed(device, open_)
        return open_
