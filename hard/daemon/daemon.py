"""Wires the wings: start, signals, the one clock, drain, exit code. Four threads: main, network, assemble, label."""

from __future__ import annotations

import errno
import gc
import logging
import os
import queue
import signal
from collections.abc import Callable
from contextlib import ExitStack
from threading import Timer
from time import monotonic, time

import msgspec
from prometheus_client import CollectorRegistry, start_http_server

from hard import __version__
from hard.daemon import systemd, wiring
from hard.daemon.os_signals import Signals
from hard.daemon.reload import Change, Reload, load_bundle
from hard.daemon.vitals import Vitals
from hard.errors import HardError
from hard.formats.payloads import Topics
from hard.monitoring.accounting import Abandoned, Accounting
from hard.monitoring.health import DeviceCounts, Health, JournalState, Latencies, Queues, RateMeter, rss_bytes
from hard.monitoring.metrics import Gauges, Metrics
from hard.mqtt.outbox import Outgoing
from hard.mqtt.session import Session
from hard.outputs.homeassistant import BIRTH_TOPIC
from hard.outputs.publisher import Observers, Publisher
from hard.pipeline.assembler import Assembler, Messages
from hard.pipeline.labeller import Labeller
from hard.pipeline.window_queue import WindowQueue
from hard.pipeline.workers import FairLock, Worker
from hard.records import Window
from hard.settings import Settings, SettingsError

log = logging.getLogger(__name__)
FIRST_TRY_S = 5.0  # `ready` waits so long for the first word from the broker
SOON_S = 1.0  # for what doesn't wait for the model any more
LAST_WORDS_S = 10.0  # beyond `grace_s`: health, offline, and the end of threads
STOP, FAILED = 0, 1
PASSING = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE}  # may be otherwise a moment later


class StartError(HardError):
    """Something that is no fault of the settings, and worth another try."""


class Daemon:
    """One life of the daemon: `run` returns the exit code. `reread` gives the settings anew on SIGHUP.

    Raises SettingsError, BundleError and StartError."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings] | None = None) -> None:
        self._settings, self._reread = settings, reread or (lambda: settings)
        self._reload: Reload | None = None
        self._reload_asked = False
        self._health_at = 0.0  # when the next record is due, monotonic
        self._classifier = load_bundle(settings)
        self._accounting, self._latencies, self._rates = Accounting(), Latencies(), RateMeter()
        self._messages: Messages = queue.SimpleQueue()
        self._devices = wiring.devices(settings, self._classifier)  # the assemble thread's own once it runs
        self._journal = wiring.journal(settings, self._classifier.bundle)
        self._pending = WindowQueue(
            self._abandoned, max_age_s=settings.model.max_age_s,
            max_per_device=settings.model.max_pending_per_device, max_windows=settings.model.max_pending,
        )  # fmt: skip
        self._discovery = wiring.discovery(settings, lambda: self._classifier, self._put)
        self._session = Session(
            wiring.broker(settings), Topics(settings.ingest.topics).filters(), f"{settings.own_topic}/status",
            self._messages, came=self._accounting.received, shed=self._accounting.shed,
            notices={BIRTH_TOPIC: self._discovery.birth} if self._discovery else None,
        )  # fmt: skip
        self._registry = CollectorRegistry()
        self._metrics = Metrics(
            self._registry, self._accounting, self._gauges, lambda: wiring.model_facts(settings, self._classifier),
            self._classifier.labels,
        )  # fmt: skip
        self._publisher = Publisher(
            self._session.outbox.put,
            Observers(self._metrics.labelled, self._handed_over, self._settled), self._devices.__contains__,
            prefix=settings.publish.prefix, qos=settings.publish.qos, expiry_s=settings.publish.expiry_s,
            min_confidence=settings.labels.min_confidence, smooth_windows=settings.labels.smooth_windows,
            max_devices=settings.ingest.max_devices, companion=self._discovery,
        )  # fmt: skip
        lock = FairLock()
        self._assembler = Assembler(
            self._messages, decoder=wiring.decoder(settings), devices=self._devices, journal=self._journal,
            window_queue=self._pending, publisher=self._publisher, accounting=self._accounting, metrics=self._metrics,
            lock=lock, acknowledge=self._session.acknowledge,
        )  # fmt: skip
        self._labeller = Labeller(
            self._classifier, window_queue=self._pending, publisher=self._publisher, metrics=self._metrics,
            max_batch=settings.model.max_batch, lock=lock, failed=lambda window: self._abandoned("failed", [window]),
        )  # fmt: skip
        self._assemble = Worker("assemble", self._assembler.work, lambda: not self._messages.empty())
        self._label = Worker("label", self._labeller.work, lambda: len(self._pending) > 0)
        self._vitals = Vitals(
            settings, (self._assemble, self._label), self._session, counters=self._accounting.counters,
            devices=lambda: DeviceCounts(len(self._devices), self._devices.active()),
            others=lambda: [self._journal.problem] if self._journal.problem else [],
        )  # fmt: skip
        self._encoder = msgspec.json.Encoder()
        self._started = monotonic()
        self._out_of_time = False

    def run(self) -> int:
        """Serves until SIGTERM or SIGINT, or until a worker dies; gives the exit code."""
        end = Timer(self._settings.grace_s + LAST_WORDS_S, os._exit, (FAILED,))  # whatever a stuck thread holds
        end.daemon = True
        with ExitStack() as stack:
            stack.callback(end.cancel)
            signals = stack.enter_context(Signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))
            self._serve_metrics(stack)
            self._assemble.start()
            self._label.start()
            stack.enter_context(self._session)
            self._session.tried.wait(FIRST_TRY_S)
            gc.freeze()  # what is loaded stays: looking through it again and again would hold all threads for 50 ms
            log.info(
                "ready: model %s, %s",
                self._classifier.bundle.model,
                "subscribed" if self._session.subscribed else "no broker yet",
            )
            systemd.ready()
            code = self._tick_until_told(signals)
            end.interval = self._settings.grace_s + LAST_WORDS_S  # a reload may have changed it
            systemd.stopping(end.interval)
            end.start()
            self._finish(code)
        return code

    def _tick_until_told(self, signals: Signals) -> int:
        """The only clock. Each second every room gets its turn."""
        well = True
        while True:
            told = signals.wait(1.0)
            if told and told != signal.SIGHUP:
                log.info("stopping on %s", told.name)
                return STOP
            self._tick_reload(asked=told is not None)
            now = monotonic()
            if trouble := self._vitals.tick(now):
                log.error("%s", trouble)
                return FAILED
            self._assembler.tick(now)
            self._journal.flush()
            self._publisher.tick(self._session.connections)
            if self._discovery:
                self._discovery.tick(self._session.connections)
            if now >= self._health_at or well != (well := not self._vitals.problems()):
                self._health_at = now + self._settings.publish.health_every_s
                self._put_health()

    def _tick_reload(self, asked: bool) -> None:
        """A signal that comes while a reload is under way is for another one: settings may have changed since."""
        self._reload_asked |= asked
        if self._reload and self._reload.done:
            self._end_reload(self._reload)
        if self._reload_asked and self._reload is None:
            self._reload_asked = False
            systemd.reloading()
            self._reload = Reload(self._settings, self._classifier, self._reread)
            self._reload.start()

    def _end_reload(self, reload: Reload) -> None:
        self._reload = None
        if reload.change:
            self._apply(reload.change)
        else:
            log.error("not reloaded, all stays as it is: %s", reload.refusal)
        systemd.ready()

    def _apply(self, change: Change) -> None:
        """Takes effect from the next message and the next batch on; nothing in work is touched."""
        settings = self._settings = change.settings
        logging.getLogger().setLevel(settings.log_level.upper())
        self._publisher.change(settings.labels.min_confidence, settings.labels.smooth_windows)
        self._pending.change(
            max_age_s=settings.model.max_age_s, max_per_device=settings.model.max_pending_per_device,
            max_windows=settings.model.max_pending,
        )  # fmt: skip
        self._labeller.change(change.classifier or self._classifier, settings.model.max_batch)
        if change.classifier:
            self._classifier = change.classifier
        self._health_at = 0.0  # tells the model, and the interval that holds from now on
        log.info("reloaded: model %s; changed: %s", self._classifier.bundle.model, ", ".join(change.live) or "nothing")
        if change.restart:
            log.warning("these settings need a restart: %s", ", ".join(change.restart))

    def _finish(self, code: int) -> None:
        """Stops taking in, finishes what is pending within the grace time, closes the counters."""
        half_s = self._settings.grace_s / 2
        deadline = monotonic() + 2 * half_s
        self._session.stop_taking()
        self._assembler.stop(half_s)  # the other half is for labelling
        self._assemble.join(self._left(deadline - half_s))
        self._pending.close()  # assembling no longer waits for room
        self._label.join(self._left(deadline))
        self._pending.abandon()
        if self._session.connected:
            self._session.outbox.drain(self._left(deadline))
        self._out_of_time = True
        self._session.outbox.abandon()
        self._assemble.join(SOON_S)
        if self._assemble.finished:
            self._assembler.close()
        elif self._assemble.is_alive():
            log.error("assembling did not end in time: what open windows hold is not saved")
        if self._session.connected:
            self._put_health()
            self._session.outbox.drain(1.0)
        for problem in self._accounting.counters().discrepancies() if code == STOP else ():
            log.error("the counters don't balance: %s", problem)

    @staticmethod
    def _left(deadline: float) -> float:
        return max(0.1, deadline - monotonic())

    def _put(self, outgoing: Outgoing) -> None:
        self._session.outbox.put(outgoing)

    def _handed_over(self, total_s: float) -> None:
        self._metrics.latency.observe(total_s)
        self._latencies.observe(total_s)

    def _settled(self, window: Window, taken: bool) -> None:
        if taken:
            self._accounting.published()
            self._journal.mark_resolved(window)
        else:
            self._abandoned("shutdown" if self._out_of_time else "outbox_full", [window])

    def _abandoned(self, reason: Abandoned, windows: list[Window]) -> None:
        self._accounting.abandoned(reason, len(windows))
        for window in windows if reason != "shutdown" else ():  # those the journal keeps for the next start
            self._journal.mark_resolved(window)

    def _gauges(self) -> Gauges:
        session = self._session
        return Gauges(
            len(self._devices), self._devices.active(), len(self._pending), len(session.outbox), session.connected,
            session.subscribed, session.reconnects, monotonic() - self._started, self._vitals.stalled_s,
            self._journal.writing if self._settings.state.durability == "journal" else None,
        )  # fmt: skip

    def _put_health(self) -> None:
        counters = self._accounting.counters()
        gauges = self._gauges()
        health = Health(
            version=__version__,
            model=self._classifier.bundle.model,
            instance=self._settings.instance,
            at=round(time(), 3),
            every_s=self._settings.publish.health_every_s,
            uptime_s=round(gauges.uptime_s, 1),
            rss_bytes=rss_bytes(),
            devices=DeviceCounts(gauges.devices, gauges.devices_active),
            rates=self._rates.rates(counters),
            queues=Queues(counters.messages.queued, gauges.pending, gauges.outbox),
            latency_s=self._latencies.quantiles(),
            subscribed=gauges.subscribed,
            journal=JournalState(self._settings.state.durability, self._journal.writing, self._journal.problem),
            balanced=not counters.discrepancies(),
            problems=[*self._vitals.problems(), *counters.discrepancies()],
            accounting=counters,
        )
        payload = self._encoder.encode(health)
        self._put(Outgoing(f"{self._settings.own_topic}/health", lambda: payload, qos=1, retain=True))

    def _serve_metrics(self, stack: ExitStack) -> None:
        settings = self._settings.metrics
        if not settings.enabled:
            return
        try:
            server, thread = start_http_server(settings.port, settings.host, self._registry)
        except OSError as error:
            problem = f"metrics.port: can't serve on {settings.host}:{settings.port}: {error.strerror}"
            if error.errno in PASSING:
                raise StartError(problem) from error
            raise SettingsError(problem) from error
        stack.callback(thread.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        log.info("metrics on http://%s:%d/metrics", settings.host, server.server_port)
