"""Every metric name and bucket, on an injected registry. hard/monitoring/README.md is tested against this module.

Counters and gauges are read from the accounting and the queues when Prometheus asks, so counting costs nothing on the
way; only histograms and labels are observed as they happen. No metric has a label for the device.
"""

from __future__ import annotations

import errno
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, product
from math import inf

import msgspec
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, disable_created_metrics, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from hard.errors import HardError
from hard.monitoring.accounting import Accounting
from hard.monitoring.health import Gauges
from hard.records import Prediction
from hard.settings import SettingsError

log = logging.getLogger(__name__)

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STAGE_SECONDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, *SECONDS[:-1])
BATCH_WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)
CONFIDENCE = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
FAMILIAR = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
STAGES = ("decode", "assemble", "journal", "queue", "infer", "publish")
# For each kind of thing counted: what came in (TOTALS, BEFORE), and what is still on its way (GAUGES): metric name,
# field of the counters, documentation. The other fields are outcomes.
TOTALS = {
    "messages": ("hard_messages_received", "received", "Messages received"),
    "samples": ("hard_samples_decoded", "decoded", "Samples of decoded messages"),
    "windows": ("hard_windows_closed", "closed", "Windows closed"),
}
GAUGES = {
    "messages": (("hard_messages_queued", "queued", "Messages that wait to be decoded"),),
    "samples": (
        ("hard_samples_held", "held", "Samples held for reordering"),
        ("hard_samples_buffered", "buffered", "Accepted samples that open windows still need"),
        ("hard_samples_missing", "missing", "Samples that devices seem to have left out since the start"),
    ),
    "windows": (("hard_windows_in_flight", "in_flight", "Closed windows neither published nor abandoned yet"),),
}
# What an earlier process left comes in as well.
BEFORE = {
    "messages": ("hard_messages_replayed", "replayed", "Messages taken from the journal at the start"),
    "samples": ("hard_samples_restored", "restored", "Samples in buffers that an earlier process left"),
    "windows": ("hard_windows_restored", "restored", "Windows that an earlier process left unpublished"),
}
TEMPORARY_ERRORS = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE}
LEFT = ("used", "unused")  # what became of accepted samples: a balance of its own


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """About the model that labels: `info` in words, `trained` windows of each label that it learnt from, and for each
    level of its prompts' words how often it was written, and its share in training."""

    info: Mapping[str, str]
    trained: Mapping[str, int]
    levels: Mapping[str, tuple[int, float]]


class Histogram:
    """Observations by bucket, in a fifth of the time that prometheus_client's takes. One thread at a time observes."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """For each bound, as text, how many observations were at most that; and the sum of all."""
        texts = [floatToGoString(bound) for bound in (*self._bounds, inf)]  # type: ignore[no-untyped-call]
        return list(zip(texts, accumulate(self._counts), strict=True)), self._sum


class Metrics:
    """The histograms and the labels, observed as they happen. Each of `labels` is counted from zero, so that none is
    absent before its first window."""

    def __init__(self, registry: CollectorRegistry, labels: Sequence[str]) -> None:
        # These would be a second series a counter, which the text format calls a gauge. It holds for the whole process.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.stage = {name: Histogram(STAGE_SECONDS) for name in STAGES}
        self.latency, self.batch = Histogram(SECONDS), Histogram(BATCH_WINDOWS)
        self.confidence, self.familiar = Histogram(CONFIDENCE), Histogram(FAMILIAR)
        self._labels = Counter("hard_labels", "Labels given", ["label", "accepted"], registry=registry)
        self._given: dict[tuple[str, bool], Counter] = {}
        for label, accepted in product(labels, (True, False)):
            self._count(label, accepted)
        self._degraded = Counter(
            "hard_degraded_labels", "Labels of devices that had windows before them shed", registry=registry
        )
        self._uncalibrated = Counter(
            "hard_uncalibrated_labels", "Labels of devices whose mounting is still assumed", registry=registry
        )
        registry.register(HistogramCollector(self))
        ProcessCollector(registry=registry)

    def labelled(self, prediction: Prediction, accepted: bool) -> None:
        """Counts one label."""
        (self._given.get((prediction.label, accepted)) or self._count(prediction.label, accepted)).inc()
        self.confidence.observe(prediction.confidence)
        if prediction.familiar is not None:
            self.familiar.observe(prediction.familiar)
        if prediction.window.degraded:
            self._degraded.inc()
        if not prediction.window.calibrated:
            self._uncalibrated.inc()

    def _count(self, label: str, accepted: bool) -> Counter:
        given = self._given[label, accepted] = self._labels.labels(label, "true" if accepted else "false")
        return given


class HistogramCollector(Collector):
    """Turns the histograms into metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        stages = HistogramMetricFamily("hard_stage_seconds", "Time of one step of a stage", labels=["stage"])
        for name, histogram in metrics.stage.items():
            stages.add_metric([name], *histogram.buckets())
        yield stages
        for name, documentation, histogram in (
            ("hard_latency_seconds", "From receipt of the message that closed a window to hand-over of its label",
             metrics.latency),
            ("hard_batch_windows", "Windows labelled in one batch", metrics.batch),
            ("hard_confidence", "Confidence of labels", metrics.confidence),
            ("hard_familiar", "How familiar windows are", metrics.familiar),
        ):  # fmt: skip
            buckets, total = histogram.buckets()
            yield HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=total)


class AccountingCollector(Collector):
    """Turns the counters, the gauges and the model's facts into metrics whenever Prometheus asks.

    Register it last: its three sources need parts of the daemon that themselves need `Metrics`."""

    def __init__(self, accounting: Accounting, gauges: Callable[[], Gauges], model: Callable[[], ModelFacts]) -> None:
        self._accounting, self._gauges, self._model = accounting, gauges, model

    def collect(self) -> Iterator[Metric]:
        counters = self._accounting.counters()
        for name in ("messages", "samples", "windows"):
            yield from _flow(name, msgspec.structs.asdict(getattr(counters, name)))
        yield _counter(
            "hard_rejected_messages", "Messages that could not be decoded", "reason", self._accounting.reasons()
        )
        yield _counter(
            "hard_invalid_samples", "Samples left out of messages that were decoded", "reason",
            self._accounting.invalid(),
        )  # fmt: skip
        runs, jumps = self._accounting.runs()
        yield CounterMetricFamily("hard_runs", "Runs of devices begun: first samples, and returns after a gap", runs)
        yield CounterMetricFamily("hard_clock_jumps", "Device clocks found set back", jumps)
        gauges = self._gauges()
        yield GaugeMetricFamily("hard_devices", "Devices known", gauges.devices)
        yield GaugeMetricFamily("hard_devices_active", "Devices that are not silent", gauges.devices_active)
        problems = GaugeMetricFamily(
            "hard_devices_with_problem", "Devices that have a problem now, by its kind", labels=["kind"]
        )
        for kind, devices in gauges.problems.counts.items():
            problems.add_metric([kind], devices)
        yield problems
        yield GaugeMetricFamily("hard_windows_pending", "Windows that wait for the model", gauges.pending)
        yield GaugeMetricFamily("hard_outbox_messages", "Messages that the broker has not taken", gauges.outbox)
        yield GaugeMetricFamily("hard_broker_connected", "1 while connected to the broker", gauges.connected)
        yield GaugeMetricFamily("hard_broker_subscribed", "1 while subscribed", gauges.subscribed)
        yield CounterMetricFamily(
            "hard_broker_reconnects", "Connections made after a loss or failure", gauges.reconnects
        )
        stalled = GaugeMetricFamily(
            "hard_stage_stalled_seconds", "For how long a stage has had work without progress", labels=["stage"]
        )
        for stage, seconds in sorted(gauges.stalled_s.items()):
            stalled.add_metric([stage], seconds)
        yield stalled
        yield GaugeMetricFamily("hard_uptime_seconds", "Time since the daemon started", gauges.uptime_s)
        if gauges.journal is not None:
            yield GaugeMetricFamily("hard_journal_writing", "1 while what comes in is journaled", gauges.journal)
        yield from _model(self._model())


def _model(model: ModelFacts) -> Iterator[Metric]:
    yield InfoMetricFamily("hard_model", "The model that labels, and the daemon's version", dict(model.info))
    trained = GaugeMetricFamily(
        "hard_training_windows", "Windows that the model learnt each label from", labels=["label"]
    )
    for label, windows in model.trained.items():
        trained.add_metric([label], windows)
    yield trained
    counts = {level: count for level, (count, _) in model.levels.items()}
    yield _counter("hard_feature_levels", "Words of prompts by their level, over all features", "level", counts)
    shares = GaugeMetricFamily(
        "hard_training_feature_level_ratio",
        "Share of each level among the words of the training data",
        labels=["level"],
    )
    for level, (_, share) in model.levels.items():
        shares.add_metric([level], share)
    yield shares


def _flow(name: str, counts: dict[str, int]) -> Iterator[Metric]:
    """The total as a counter, the outcomes as one counter with a label, what is still on its way as gauges."""
    metric, total, documentation = TOTALS[name]
    yield CounterMetricFamily(metric, documentation, counts[total])
    metric, before, documentation = BEFORE[name]
    yield CounterMetricFamily(metric, documentation, counts[before])
    still = {field for _, field, _ in GAUGES[name]}
    outcomes = {field: n for field, n in counts.items() if field not in {total, before, *still, *LEFT, "invalid"}}
    yield _counter(f"hard_{name}", f"{name.capitalize()} by what became of them", "outcome", outcomes)
    if name == "samples":
        left = {field: counts[field] for field in LEFT}
        yield _counter("hard_accepted_samples", "Accepted samples by whether a window used them", "outcome", left)
    for metric, field, documentation in GAUGES[name]:
        yield GaugeMetricFamily(metric, documentation, counts[field])


def _counter(name: str, documentation: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for value, n in sorted(values.items()):
        family.add_metric([value], n)
    return family


class EndpointError(HardError):
    """The endpoint can't be served now; another try may succeed."""


@contextmanager
def serve(registry: CollectorRegistry, host: str, port: int) -> Iterator[None]:
    """Serves the metrics of `registry` in a thread. Raises SettingsError, or EndpointError where that may pass."""
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        problem = f"metrics.port: can't serve on {host}:{port}: {error.strerror}"
        raise (EndpointError if error.errno in TEMPORARY_ERRORS else SettingsError)(problem) from error
    log.info("metrics on http://%s:%d/metrics", host, server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
