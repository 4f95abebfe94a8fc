"""What Prometheus reads of a daemon, with every metric in it."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from hard.monitoring.accounting import Accounting
from hard.monitoring.health import Gauges
from hard.monitoring.metrics import AccountingCollector, Metrics, ModelFacts
from hard.records import PROBLEMS, Prediction, ProblemSummary, Window

LABELS = ("Walking", "Sitting")
INFO = {"version": "1", "model": "m", "backend": "onnx", "base": "scratch", "prompt": "compact 1"}
MODEL = ModelFacts(INFO, {"Walking": 30, "Sitting": 10}, {"00": (7, 0.25), "01": (0, 0.75)})
GAUGES = Gauges(
    devices=3, devices_active=2, pending=1, outbox=0, connected=True, subscribed=False, reconnects=4, uptime_s=5.5,
    stalled_s={"label": 6.0, "assemble": 0.0}, journal=True,
    problems=ProblemSummary({**dict.fromkeys(PROBLEMS, 0), "unit": 2, "gaps": 1}, {"d": ["unit", "gaps"]}, "2: …"),
)  # fmt: skip


def prediction(
    label: str, confidence: float, *, degraded: bool = False, calibrated: bool = True, familiar: float | None = None
) -> Prediction:
    still = np.zeros((80, 3), np.float32)
    up = np.array([0, 1, 0], np.float32)
    window = Window("d", 0.0, 4.0, still, 1.0, up, up, calibrated, 0.0, 0.0, 0.0, degraded=degraded)
    return Prediction(window, label, confidence, np.array([confidence, 1 - confidence]), familiar)


def metrics() -> tuple[CollectorRegistry, Metrics]:
    """A registry with every metric, one message received and rejected; and what observes labels."""
    registry, accounting = CollectorRegistry(), Accounting()
    accounting.received()
    accounting.rejected("json")
    registry.register(AccountingCollector(accounting, lambda: GAUGES, lambda: MODEL))
    return registry, Metrics(registry, LABELS)


def exposition() -> str:
    """What Prometheus reads, with every metric in it."""
    return generate_latest(metrics()[0]).decode()
