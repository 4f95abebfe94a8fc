"""Wires the wings: start, signals, the one clock, drain, exit code. Four threads: main, network, assemble, label."""

from __future__ import annotations

import logging
import queue
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from threading import Thread
from time import monotonic

import msgspec
from prometheus_client import CollectorRegistry, start_http_server

from hard import __version__, wiring
from hard.health import DeviceCounts, Health, Latencies, Queues, RateMeter, notify, rss_bytes
from hard.ledger import Ledger
from hard.logs import LimitedLog
from hard.metrics import Gauges, Metrics
from hard.model import bundle
from hard.model.classifier import load
from hard.records import Message, Prediction, Window
from hard.settings import Settings, SettingsError
from hard.signals import Signals
from hard.stream.mqtt import Outgoing, Session
from hard.stream.payloads import PayloadError, Topics
from hard.stream.pending import Pending
from hard.stream.publisher import Batch, Observers, Publisher

log = logging.getLogger(__name__)
FIRST_TRY_S = 5.0  # `ready` waits so long for the first word from the broker
STOP, FAILED = 0, 1
WAKE = "wake"  # in the queue of messages: look at what is due


class Worker(Thread):
    """A thread that remembers why it died."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self.finished = False
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
            self.finished = True
        except BaseException as error:  # whatever it is, the main thread must hear of it
            self.error = error
            log.exception("the %s thread died", self.name)


class Daemon:
    """One life of the daemon: `run` returns the exit code. Raises SettingsError and BundleError before it starts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._classifier = load(
            settings.model.bundle or bundle.default_path(), settings.model.backend, settings.model.threads
        )
        self._model = self._classifier.bundle.model
        self._ledger, self._latencies, self._rates = Ledger(), Latencies(), RateMeter()
        self._messages: queue.Queue[Message | str | None] = queue.Queue(settings.ingest.max_queued_messages)
        self._devices = wiring.devices(settings, self._classifier)
        self._decoder = wiring.decoder(settings)
        self._pending = Pending(
            self._ledger.abandoned, max_age_s=settings.model.max_age_s,
            max_per_device=settings.model.max_pending_per_device, max_windows=settings.model.max_pending,
        )  # fmt: skip
        self._session = Session(
            wiring.broker(settings), Topics(settings.ingest.topics).filters(), f"{settings.own_topic}/status",
            self._messages, came=self._ledger.received, shed=self._ledger.shed,
        )  # fmt: skip
        self._registry = CollectorRegistry()
        self._metrics = Metrics(
            self._registry, self._ledger, self._gauges,
            {"version": __version__, "model": self._model, "backend": settings.model.backend},
        )  # fmt: skip
        self._publisher = Publisher(
            self._session.put, self._classifier.labels,
            Observers(self._metrics.labelled, self._handed_over, self._settled),
            prefix=settings.publish.prefix, qos=settings.publish.qos, min_confidence=settings.labels.min_confidence,
            smooth_windows=settings.labels.smooth_windows, max_devices=settings.ingest.max_devices,
        )  # fmt: skip
        self._assemble = Worker("assemble", self._assemble_all)
        self._label = Worker("label", self._label_all)
        self._limited = LimitedLog(log)
        self._encoder = msgspec.json.Encoder()
        self._started = monotonic()
        self._due: float | None = None  # a tick for the assemble thread, so that devices need no lock

    def run(self) -> int:
        """Serves until SIGTERM or SIGINT, or until a worker dies; gives the exit code."""
        with ExitStack() as stack:
            signals = stack.enter_context(Signals((signal.SIGTERM, signal.SIGINT)))
            self._serve_metrics(stack)
            self._assemble.start()
            self._label.start()
            stack.enter_context(self._session)
            self._session.tried.wait(FIRST_TRY_S)
            log.info("ready: model %s, %s", self._model, "subscribed" if self._session.subscribed else "no broker yet")
            notify("READY=1")
            code = self._tick_until_told(signals)
            notify("STOPPING=1")
            self._finish(code)
        return code

    def _tick_until_told(self, signals: Signals) -> int:
        """The only clock. Each second every room gets its turn."""
        health_at = monotonic()
        while True:
            told = signals.wait(1.0)
            if told:
                log.info("stopping on %s", told.name)
                return STOP
            now = monotonic()
            for worker in (self._assemble, self._label):
                if not worker.is_alive():
                    log.error("the %s thread is dead: %s", worker.name, worker.error)
                    return FAILED
            if not self._session.alive:
                log.error("the network thread is dead")
            if self._session.failed or not self._session.alive:
                return FAILED
            self._due = now
            with suppress(queue.Full):  # then messages wake the assemble thread
                self._messages.put_nowait(WAKE)
            if now >= health_at:
                health_at = now + self._settings.publish.health_every_s
                self._put_health()

    def _finish(self, code: int) -> None:
        """Stops taking in, finishes what is pending within the grace time, closes the books."""
        deadline = monotonic() + self._settings.grace_s
        self._session.stop_taking()
        if self._assemble.is_alive():
            self._messages.put(None)
        self._assemble.join(self._left(deadline))
        self._pending.close()
        self._label.join(self._left(deadline))
        if self._label.is_alive() or self._label.error:
            self._ledger.abandoned("shutdown", self._pending.abandon())
        if self._session.connected:
            self._session.drain(self._left(deadline))
        lost = [outgoing for outgoing in self._session.abandon() if outgoing.settled]
        self._ledger.abandoned("shutdown", len(lost))
        if self._assemble.finished:
            self._ledger.changed(self._devices.close())
        if self._session.connected:
            self._put_health()
            self._session.drain(1.0)
        for problem in self._ledger.books().imbalances() if code == STOP else ():
            log.error("the books don't balance: %s", problem)

    @staticmethod
    def _left(deadline: float) -> float:
        return max(0.1, deadline - monotonic())

    def _assemble_all(self) -> None:
        """Decodes, feeds devices, hands windows on, acknowledges; one message at a time, a bad one fails alone."""
        while (item := self._messages.get()) is not None:
            if self._due is not None:
                now, self._due = self._due, None
                self._tick_devices(now)
            if isinstance(item, Message):
                self._assemble_one(item)
                self._session.acknowledge(item)

    def _tick_devices(self, now: float) -> None:
        events, tally = self._devices.tick(now)
        self._ledger.changed(tally)
        for event in events:
            log.debug("%s %s", event.device, event.kind)
            if event.kind == "forgotten":
                self._pending.forget(event.device)
        self._publisher.device_events(events)

    def _assemble_one(self, message: Message) -> None:
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
        self._pending.put(windows)
        self._metrics.stage["decode"].observe(decoded - begun)
        self._metrics.stage["assemble"].observe(monotonic() - decoded)

    def _label_all(self) -> None:
        """Takes whatever is pending, labels it as one batch, publishes."""
        while windows := self._pending.take(self._settings.model.max_batch):
            begun = monotonic()
            predictions = self._classify(windows)
            ended = monotonic()
            for window in windows:
                if not window.replayed:
                    self._metrics.stage["queue"].observe(max(0.0, begun - window.received_at))
            self._metrics.stage["infer"].observe(ended - begun)
            self._metrics.batch.observe(len(windows))
            self._publisher.publish(Batch(predictions, self._model, begun, ended))
            self._metrics.stage["publish"].observe(monotonic() - ended)

    def _classify(self, windows: list[Window]) -> list[Prediction]:
        """A batch that raises is tried again one by one, so that a poisonous window fails alone."""
        try:
            return self._classifier.classify(windows)
        except Exception:
            self._limited.warning("batch", "a batch of %d failed, trying its windows one by one", len(windows))
        predictions = []
        for window in windows:
            try:
                predictions += self._classifier.classify([window])
            except Exception as error:
                self._ledger.abandoned("failed")
                self._limited.warning("window", "window %s can't be labelled: %s", window.window_id, error)
        return predictions

    def _handed_over(self, total_s: float) -> None:
        self._metrics.latency.observe(total_s)
        self._latencies.observe(total_s)

    def _settled(self, taken: bool) -> None:
        if taken:
            self._ledger.published()
        else:
            self._ledger.abandoned("outbox_full")

    def _gauges(self) -> Gauges:
        session = self._session
        return Gauges(
            len(self._devices), self._devices.active(), len(self._pending), session.waiting, session.connected,
            session.subscribed, session.reconnects, monotonic() - self._started,
        )  # fmt: skip

    def _put_health(self) -> None:
        books = self._ledger.books()
        gauges = self._gauges()
        health = Health(
            version=__version__,
            model=self._model,
            instance=self._settings.instance,
            uptime_s=round(gauges.uptime_s, 1),
            rss_bytes=rss_bytes(),
            devices=DeviceCounts(gauges.devices, gauges.devices_active),
            rates=self._rates.rates(books),
            queues=Queues(books.messages.queued, gauges.pending, gauges.outbox),
            latency_s=self._latencies.quantiles(),
            subscribed=gauges.subscribed,
            balanced=not books.imbalances(),
            books=books,
        )
        payload = self._encoder.encode(health)
        self._session.put(Outgoing(f"{self._settings.own_topic}/health", lambda: payload, qos=1, retain=True))

    def _serve_metrics(self, stack: ExitStack) -> None:
        settings = self._settings.metrics
        if not settings.enabled:
            return
        try:
            server, thread = start_http_server(settings.port, settings.host, self._registry)
        except OSError as error:
            raise SettingsError(
                f"metrics.port: can't serve on {settings.host}:{settings.port}: {error.strerror}"
            ) from error
        stack.callback(thread.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        log.info("metrics on http://%s:%d/metrics", settings.host, server.server_port)
