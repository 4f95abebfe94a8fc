"""Each tick: do the threads live, do the stages get on, and what does systemd hear of it. Decides nothing about stages
(that is `watchdog`) and ends nothing: the daemon does, when `tick` gives a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hard.daemon import systemd
from hard.daemon.watchdog import Watchdog
from hard.monitoring.accounting import Counters
from hard.monitoring.health import DeviceCounts, RateMeter, problems, status_line
from hard.mqtt.session import Session
from hard.pipeline.workers import Report, Worker
from hard.settings import Settings

CONNECT_S = 60.0  # what one attempt to connect may take beyond its keep-alive: looking up names, several addresses


class Vitals:
    """`counters` and `devices` give the numbers of the status line, `others` the problems of other modules."""

    def __init__(
        self, settings: Settings, workers: Sequence[Worker], session: Session, *, counters: Callable[[], Counters],
        devices: Callable[[], DeviceCounts], others: Callable[[], Sequence[str]],
    ) -> None:  # fmt: skip
        self._workers, self._session, self._counters, self._devices = workers, session, counters, devices
        self._others = others
        self._broker = f"{settings.mqtt.host}:{settings.mqtt.port}"
        self._systemd, self._rates = systemd.Reports(), RateMeter()
        self._patience_s = min(settings.stuck_after_s, self._systemd.interval_s or float("inf"))
        self._connecting_s = settings.mqtt.reconnect_max_s + settings.mqtt.keepalive_s + CONNECT_S
        self._watchdog = Watchdog([*(worker.name for worker in workers), "network"])

    @property
    def stalled_s(self) -> dict[str, float]:
        """For how long each stage has had work and made no progress."""
        return dict(self._watchdog.stalled_s)

    def problems(self) -> list[str]:
        """What an operator should look at, a sentence each; nothing when all is well."""
        session = self._session
        broker = problems(session.connected, session.subscribed, self._broker, self._watchdog.told())
        return [*broker, *filter(None, [session.evicted]), *self._others()]

    def tick(self, now: float) -> str | None:
        """Why the process must end, as a sentence; None while it is well, and then systemd's watchdog is fed."""
        for worker in self._workers:
            if not worker.is_alive():
                return f"the {worker.name} thread is dead: {worker.error}"
        if not self._session.alive:
            return "the network thread is dead"
        if self._session.failed:
            return f"the network thread failed: {self._session.failed}"
        stuck = self._watchdog.look(now, [*(w.report(self._patience_s) for w in self._workers), self._network()])
        wrong = self.problems()
        if self._systemd.due(now, "; ".join(wrong)):
            line = status_line(wrong, self._rates.rates(self._counters()), self._devices())
            systemd.notify(f"STATUS={line}")
        if stuck:
            return f"the {stuck[0]} thread is stuck: it has work and makes no progress"
        self._systemd.feed(now)
        return None

    def _network(self) -> Report:
        # Its work is to be there: at rest its loop still turns, and without a broker it keeps trying.
        patience_s = self._patience_s if self._session.connected else self._connecting_s
        return Report("network", self._session.turns, True, patience_s)
