"""The life of one daemon, from top to bottom: settings and built parts in, exit code out.

Four threads: *main* (this module: the only timer, and signals), *network* (paho's), *assemble* and *label*.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from threading import Timer
from time import monotonic, time

import msgspec

from hard import __version__
from hard.daemon import systemd, wiring
from hard.daemon.os_signals import Signals
from hard.daemon.reload import Change, Reloader
from hard.daemon.sender_settings import make_senders
from hard.daemon.wiring import Parts
from hard.monitoring import health, metrics
from hard.mqtt.outbox import Outgoing
from hard.settings import Settings

log = logging.getLogger(__name__)
STOPPED, FAILED = 0, 1  # exit codes
TICK_S = 1.0
FIRST_CONNECT_S = 5.0  # `ready` waits for at most so long for the first attempt to connect
SHUTDOWN_MARGIN_S = 10.0  # beyond `grace_s`: the last health record, `offline`, and the end of the threads
LAST_STEP_S = 1.0  # the longest that each last step of a shutdown may take


class Daemon:
    """One daemon. `reread` gives the settings as they are at a SIGHUP."""

    def __init__(self, settings: Settings, parts: Parts, reread: Callable[[], Settings]) -> None:
        self._settings, self._parts = settings, parts
        self._reloader = Reloader(reread)
        self._exit_timer = Timer(0.0, os._exit, (FAILED,))  # ends the process even if a thread hangs
        self._exit_timer.daemon = True
        self._health_due_at = 0.0  # monotonic
        self._was_well = True
        self._useless = health.UselessMeter()
        self._status_rates, self._health_rates = (health.RateMeter(parts.started_at) for _ in range(2))

    def run(self) -> int:
        """Serves until SIGTERM or SIGINT, or until a thread fails; gives the exit code.

        Raises SettingsError, and EndpointError where another start may succeed."""
        with ExitStack() as stack:
            stack.callback(self._exit_timer.cancel)
            signals = stack.enter_context(Signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))
            self.startup(stack)
            code = self.main_loop(signals)
            self.shutdown(code)
        return code

    def startup(self, stack: ExitStack) -> None:
        """Starts the metrics endpoint, the threads and the connection; what must be ended goes on `stack`."""
        settings, parts = self._settings, self._parts
        if settings.metrics.enabled:
            stack.enter_context(metrics.serve(parts.registry, settings.metrics.host, settings.metrics.port))
        parts.assemble_thread.start()
        parts.label_thread.start()
        session = stack.enter_context(parts.session)
        session.tried.wait(FIRST_CONNECT_S)
        gc.freeze()  # what is loaded stays: the collector would look through it again and again, for 50 ms each time
        broker = "subscribed" if session.subscribed else "no broker yet"
        log.info("ready: model %s, %s", parts.labeller.classifier.bundle.model, broker)
        systemd.ready()

    def main_loop(self, signals: Signals) -> int:
        """The only timer: once a second it calls `tick` of each part that has one."""
        while True:
            received = signals.wait(TICK_S)
            if received == signal.SIGHUP:
                self._reloader.request()
            elif received:
                log.info("stopping on %s", received.name)
                return STOPPED
            self._reload()
            if failure := self._tick(monotonic()):
                log.error("%s", failure)
                return FAILED

    def shutdown(self, code: int) -> None:
        """Stops taking messages in, finishes what is pending within the grace time, reports what doesn't add up."""
        parts, half_s = self._parts, self._settings.grace_s / 2
        deadline = monotonic() + 2 * half_s
        self._exit_timer.interval = self._settings.grace_s + SHUTDOWN_MARGIN_S
        systemd.stopping(self._exit_timer.interval)
        self._exit_timer.start()
        parts.session.stop_receiving()
        parts.assembler.stop(half_s)  # the other half is for labelling
        parts.assemble_thread.join(_left_s(deadline - half_s))
        parts.window_queue.close()  # assembling no longer waits for room
        parts.label_thread.join(_left_s(deadline))
        parts.window_queue.abandon()
        if parts.session.connected:
            parts.session.outbox.drain(_left_s(deadline))
        parts.outcomes.stop()
        parts.session.outbox.abandon()
        parts.assemble_thread.join(LAST_STEP_S)
        if parts.assemble_thread.finished:
            parts.assembler.close()
        elif parts.assemble_thread.is_alive():
            log.error("assembling did not end in time: the samples of open windows are not saved")
        if parts.session.connected:
            self._publish_health(self._problems())
            parts.session.outbox.drain(LAST_STEP_S)
        for discrepancy in parts.accounting.counters().discrepancies() if code == STOPPED else ():
            log.error("the counters don't balance: %s", discrepancy)

    def _tick(self, now: float) -> str | None:
        """Gives the reason why the process must end, if there is one."""
        parts = self._parts
        failure = parts.watchdog.check(now)
        self._report(now)
        if failure:
            return failure
        parts.notifier.keep_alive(now)
        parts.assembler.tick(now)
        parts.journal.flush()
        parts.publisher.tick(parts.session.connections)
        parts.diagnosis_publisher.tick(parts.session.connections)
        if parts.discovery:
            parts.discovery.tick(parts.session.connections)
        return None

    def _report(self, now: float) -> None:
        """Status line and health record, when they are due; the record also when the daemon becomes well or unwell."""
        problems = self._problems()
        if self._parts.notifier.status_due(now, "; ".join(problems)):
            rates = self._status_rates.rates(self._parts.accounting.counters(), now)
            systemd.status(health.status_line(problems, rates, self._gauges()))
        if now >= self._health_due_at or self._was_well != (not problems):
            self._health_due_at, self._was_well = now + self._settings.publish.health_every_s, not problems
            self._publish_health(problems)

    def _gauges(self) -> health.Gauges:
        return wiring.gauges(self._settings, self._parts)

    def _problems(self) -> list[str]:
        mqtt, session, journal = self._settings.mqtt, self._parts.session, self._parts.journal
        gauges, every_s = self._gauges(), self._settings.publish.health_every_s
        useless = self._useless.problem(
            self._parts.accounting.usefulness(), monotonic(), every_s, gauges.problems.commonest
        )
        return health.find_problems(
            gauges, broker=f"{mqtt.host}:{mqtt.port}", evicted=session.evicted, journal=journal.problem, useless=useless
        )

    def _publish_health(self, problems: list[str]) -> None:
        settings, parts = self._settings, self._parts
        counters = parts.accounting.counters()
        record = health.record(
            counters, self._gauges(), version=__version__, model=parts.labeller.classifier.bundle.model,
            instance=settings.instance, at=time(), every_s=settings.publish.health_every_s,
            rates=self._health_rates.rates(counters, monotonic()), latency_s=parts.latencies.quantiles(),
            journal=health.JournalState(settings.state.durability, parts.journal.writing, parts.journal.problem),
            problems=problems,
        )  # fmt: skip
        payload = msgspec.json.encode(record)
        parts.session.outbox.put(Outgoing(f"{settings.own_topic}/health", lambda: payload, qos=1, retain=True))

    def _reload(self) -> None:
        """Applies the reload that has ended, and begins the next where one was requested."""
        if ended := self._reloader.finished():
            if ended.change:
                self._apply(ended.change)
            else:
                log.error("not reloaded, all stays as it is: %s", ended.refusal)
            systemd.ready()
        if self._reloader.start(self._settings, self._parts.labeller.classifier):
            systemd.reloading()

    def _apply(self, change: Change) -> None:
        """From the next message and the next batch on; work under way is not touched."""
        settings, parts = change.settings, self._parts
        self._settings = settings
        logging.getLogger().setLevel(settings.log_level.upper())
        classifier = change.classifier or parts.labeller.classifier
        smoother = wiring.make_smoother(settings.labels, classifier.bundle)
        parts.publisher.change(wiring.make_acceptance(settings.labels, classifier.bundle), smoother)
        parts.decoder.change(make_senders(settings))
        if {"devices", "ingest.place"} & set(change.live):
            wiring.warn_of_places(settings)
        parts.diagnoses.change(wiring.look_rules(settings, classifier.bundle))
        parts.window_queue.change(wiring.queue_bounds(settings))
        parts.labeller.change(classifier, settings.model.max_batch)
        if parts.discovery:
            parts.discovery.change(wiring.discovery_facts(classifier))
        self._health_due_at = 0.0  # the record names the model and the interval
        log.info("reloaded: model %s; changed: %s", classifier.bundle.model, ", ".join(change.live) or "nothing")
        if change.restart:
            log.warning("these settings need a restart: %s", ", ".join(change.restart))


def _left_s(deadline: float) -> float:
    return max(0.1, deadline - monotonic())
