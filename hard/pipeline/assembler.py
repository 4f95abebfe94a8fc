"""The assemble thread's work: decodes messages, feeds the devices, queues their windows, acknowledges what is safe.

It takes together the messages that are there; a bad one fails alone. What an earlier process left comes first, in the
same way. It owns the devices and the journal, and knows no model.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from time import monotonic, time

from hard.formats.raw_samples import PayloadError
from hard.journal.journal import Journal
from hard.monitoring.accounting import OTHER_SENSOR, Accounting
from hard.monitoring.metrics import Metrics
from hard.monitoring.rate_limited_log import RateLimitedLog
from hard.motion.devices import Devices
from hard.motion.diagnosis import Diagnoses
from hard.outputs.diagnosis import DiagnosisPublisher
from hard.outputs.publisher import Publisher
from hard.pipeline.decoder import Decoder
from hard.pipeline.redeliveries import Redeliveries
from hard.pipeline.window_queue import WindowQueue
from hard.pipeline.workers import FairLock, Progress
from hard.records import UNUSABLE, CounterDelta, DeviceEvent, Message, Samples, Window

log = logging.getLogger(__name__)
Messages = queue.SimpleQueue[Message | str | None]  # None: stop
WAKE = "wake"  # in the queue of messages: look at what is due
# Reasons for which a message is refused that are kinds of problems of their own; others make it `malformed`.
OWN_KINDS = ("time_unit", "no_gravity", "rate")
MAX_MESSAGES_AT_ONCE = 32  # decoding them takes about 3 ms, in which the label thread may wait for the lock


class Assembler:
    """Takes from `messages` until `stop`. Calls `acknowledge` for a message once its samples are in the journal, or at
    once if it is of no use. Computes under `lock`."""

    def __init__(
        self, messages: Messages, *, decoder: Decoder, devices: Devices, journal: Journal, window_queue: WindowQueue,
        publisher: Publisher, diagnoses: Diagnoses, diagnosis_publisher: DiagnosisPublisher, accounting: Accounting,
        metrics: Metrics, lock: FairLock, acknowledge: Callable[[Message], None],
    ) -> None:  # fmt: skip
        self._messages, self._decoder, self._devices, self._journal = messages, decoder, devices, journal
        self._window_queue, self._publisher, self._accounting = window_queue, publisher, accounting
        self._diagnoses, self._diagnosis_publisher = diagnoses, diagnosis_publisher
        self._metrics, self._lock, self._acknowledge = metrics, lock, acknowledge
        self._unacknowledged: list[Message] = []  # assembled and not committed
        self._redeliveries = Redeliveries()
        self._silences: dict[str, DeviceEvent] = {}  # of devices with a window that isn't published yet
        self._limited = RateLimitedLog(log)
        self._take_until = float("inf")  # monotonic
        self._tick_at: float | None = None  # a tick for this thread, so that devices need no lock

    def tick(self, now: float) -> None:
        """From the main thread: look for devices that fell silent or are to be forgotten, at monotonic time `now`."""
        self._tick_at = now
        self.wake()

    def wake(self) -> None:
        """From any thread: look at what is due."""
        self._messages.put(WAKE)

    def stop(self, within_s: float) -> None:
        """From any thread: `work` ends. It takes what is queued within that time. What came at QoS 1 and is left then
        stays unacknowledged: the broker has it for the next start. What came at QoS 0 is always taken."""
        self._take_until = monotonic() + within_s
        self._messages.put(None)

    def work(self, progress: Progress) -> None:
        """Runs until `stop`."""
        self.restore(progress)
        while self.run_once(progress):
            pass

    def close(self) -> None:
        """Saves the samples of open windows for the next start, or drops them. Call it when `work` has ended."""
        if not self._journal.close(self._devices):
            self._accounting.changed(self._devices.close())

    def restore(self, progress: Progress) -> None:
        """Goes on from what an earlier process left in the journal."""
        progress.begin()
        recovered = self._journal.start(self.wake)
        delta = self._devices.restore(
            recovered.devices, recovered.shift_s, whole=recovered.whole, clocks=recovered.clocks
        )
        self._accounting.restored(delta, len(recovered.windows))
        self._publisher.restore(recovered.memories)
        self._window_queue.put(recovered.windows, progress.step)
        messages = 0
        for message in recovered.messages:
            progress.step()
            messages += 1
            self._accounting.replayed()
            with self._lock:
                windows = self._assemble(message, recovered.resolved)
            self._window_queue.put(windows or (), progress.step)
        if recovered.devices or messages:
            counts = len(recovered.devices), len(recovered.windows), messages
            log.info("restored %d devices, %d windows, %d messages", *counts)
        self._commit()
        progress.rest()

    def run_once(self, progress: Progress) -> bool:
        """Waits for messages or a tick and works them off; False after `stop`."""
        items = self._next_items()
        progress.begin()
        if self._tick_at is not None:
            now, self._tick_at = self._tick_at, None
            self._tick_devices(now, progress)
        self._take([item for item in items if isinstance(item, Message)], progress)
        stopped = None in items
        if stopped or self._journal.is_due():
            self._commit()
        progress.rest()
        return not stopped

    def _next_items(self) -> list[Message | str | None]:
        """Waits for one, and takes those that are there too."""
        try:
            items = [self._messages.get(timeout=self._journal.wait_s())]
        except queue.Empty:
            return [WAKE]
        more = min(self._messages.qsize(), MAX_MESSAGES_AT_ONCE - 1)  # no other thread takes any
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
                    self._unacknowledged.append(message)
                    closed += windows
        self._window_queue.put(closed, progress.step)  # may wait for room

    def _commit(self, changed: Sequence[str] = ()) -> None:
        begun, messages = monotonic(), self._unacknowledged
        self._journal.commit(self._devices, changed)
        if messages and self._journal.writing:
            self._metrics.stage["journal"].observe(monotonic() - begun)
        self._unacknowledged = []
        for message in messages:
            self._acknowledge(message)

    def _tick_devices(self, now: float, progress: Progress) -> None:
        windows, delta, changed = self._devices.release(now, time())
        self._accounting.changed(delta)
        self._journal.add_unresolved(windows)
        self._window_queue.put(windows, progress.step)
        events, delta = self._devices.tick(now)
        self._accounting.changed(delta)
        for event in events:
            log.debug("%s %s", event.device, event.kind)
            if event.kind in ("forgotten", "forgotten_unpublished"):
                self._window_queue.forget(event.device)
                self._diagnoses.forget(event.device)
                self._diagnosis_publisher.forget(event.device)
                changed.append(event.device)
        self._commit(changed)
        self._publisher.device_events(self._in_order(events))
        diagnoses = self._diagnoses.tick(now)
        self._publisher.end_states(of.device for of in diagnoses if of.unusable)
        self._diagnosis_publisher.update(diagnoses)

    def _in_order(self, events: Iterable[DeviceEvent]) -> list[DeviceEvent]:
        """The events that can be published: a silence waits until the device's last window is published, and is left
        out where the device is back before."""
        ready = []
        for event in events:
            if event.kind in ("back", "forgotten", "forgotten_unpublished"):
                self._silences.pop(event.device, None)
            if event.kind == "silent":
                self._silences[event.device] = event
            else:
                ready.append(event)
        for device in [device for device in self._silences if not self._journal.has_unresolved(device)]:
            ready.append(self._silences.pop(device))
        return ready

    def _assemble(self, message: Message, resolved: set[str] | None = None) -> list[Window] | None:
        """The windows that `message` closes; None if it is of no use. One from the journal comes with the ids of the
        windows that an earlier process `resolved`."""
        begun = monotonic()
        try:
            samples = self._decoder.decode(message)
            decoded = monotonic()
            if message.retained:
                self._refused("retained", samples.device, message)
                return None
            if self._redeliveries.seen(message):
                n = len(samples.xyz)
                self._accounting.decoded(CounterDelta(decoded=n, duplicate=n), samples.invalid)
                return []
            windows, delta = self._devices.push(self._diagnoses.respaced(samples))
        except PayloadError as error:
            self._refused(error.reason, error.device, message, str(error), error.setting)
            return None
        except Exception:  # a defect of ours costs this message, not the daemon
            self._accounting.rejected("internal")
            log.exception("a message on %.80s could not be assembled", message.topic)
            return None
        self._accounting.decoded(delta, samples.invalid)
        windows = self._diagnosed(samples, message.topic, delta, windows)
        for reason, n in samples.invalid:
            self._limited.warning(reason, "left out %d samples (%s) of a message on %.80s", n, reason, message.topic)
        if resolved is None:
            self._journal.record(message, samples.device, windows)
        else:
            windows = self._without_resolved(windows, resolved)
        self._metrics.stage["decode"].observe(decoded - begun)
        self._metrics.stage["assemble"].observe(monotonic() - decoded)
        return windows

    def _diagnosed(self, samples: Samples, topic: str, delta: CounterDelta, windows: list[Window]) -> list[Window]:
        """The windows with the problems that their device has now."""
        problems = self._diagnoses.heard(samples, topic, delta.late)
        if not windows or not problems:
            return windows
        if not set(UNUSABLE).isdisjoint(problems):
            self._accounting.unusable(len(windows))
        return [replace(window, problems=problems) for window in windows]

    def _refused(
        self, reason: str, device: str | None, message: Message, detail: str = "", setting: str | None = None
    ) -> None:
        """The message is of no use. The device's first one is logged with its problem, others at a limited rate."""
        reason = "retained" if message.retained else reason
        self._accounting.rejected(reason)
        if reason == OTHER_SENSOR:
            return
        if reason == "retained":
            if device is not None:
                self._diagnoses.retained(device, message.received_at)
            return
        if device is not None:
            kind = reason if reason in OWN_KINDS else "malformed"
            self._diagnoses.refused(device, kind, message.received_at, detail=detail, setting=setting)
        mends = f" ({setting})" if setting else ""
        self._limited.warning(reason, "rejected a message on %.80s: %s%s", message.topic, detail, mends)

    def _without_resolved(self, windows: list[Window], resolved: set[str]) -> list[Window]:
        """Of windows closed once more, those that an earlier process didn't resolve."""
        unresolved = [replace(window, replayed=True) for window in windows if window.window_id not in resolved]
        self._accounting.abandoned("published_before", len(windows) - len(unresolved))
        self._journal.add_unresolved(unresolved)
        return unresolved
