"""Settings → every part of the daemon, built in the order in which they need each other. None of them runs yet."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from prometheus_client import CollectorRegistry

from hard import __version__
from hard.daemon import systemd
from hard.daemon.sender_settings import make_senders, unknown_places
from hard.daemon.watchdog import Watchdog
from hard.formats.topics import Topics
from hard.journal.journal import Compatibility, Journal
from hard.journal.store import Store
from hard.model.bundle import Bundle
from hard.model.classifier import Classifier, load
from hard.monitoring.accounting import Accounting
from hard.monitoring.health import Gauges, Latencies
from hard.monitoring.metrics import AccountingCollector, Metrics, ModelFacts
from hard.motion.devices import DeviceRules, Devices
from hard.motion.diagnosis import Diagnoses
from hard.motion.looks import LookRules
from hard.motion.windows import Grid
from hard.mqtt.broker_address import BrokerAddress, tls_context
from hard.mqtt.outbox import Outgoing
from hard.mqtt.session import Session, SessionOptions
from hard.outputs.acceptance import Acceptance
from hard.outputs.diagnosis import DiagnosisPublisher
from hard.outputs.homeassistant import BIRTH_TOPIC, Discovery, Facts
from hard.outputs.publisher import PublishCallbacks, Publisher
from hard.outputs.state import UNKNOWN, MajoritySmoother, Smoother, StateFilter
from hard.pipeline.assembler import Assembler, Messages
from hard.pipeline.decoder import Decoder
from hard.pipeline.labeller import Labeller
from hard.pipeline.outcomes import WindowOutcomes
from hard.pipeline.window_queue import QueueBounds, WindowQueue
from hard.pipeline.workers import FairLock, Worker
from hard.settings import LabelsSection, Settings, SettingsError

log = logging.getLogger(__name__)
LEAST_RATE_HZ = 12.0  # of a bundle that doesn't say at which rates it was measured good
CONNECT_S = 60.0  # what one attempt to connect may take beyond its keep-alive: looking up names, several addresses


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one daemon that its life cycle deals with. `started_at` is monotonic."""

    started_at: float
    accounting: Accounting
    latencies: Latencies
    registry: CollectorRegistry
    devices: Devices  # the assemble thread's own once it runs
    journal: Journal
    outcomes: WindowOutcomes
    window_queue: WindowQueue
    session: Session
    discovery: Discovery | None
    publisher: Publisher
    diagnoses: Diagnoses  # the assemble thread's own once it runs
    diagnosis_publisher: DiagnosisPublisher
    decoder: Decoder
    assembler: Assembler
    labeller: Labeller
    assemble_thread: Worker
    label_thread: Worker
    notifier: systemd.Notifier
    watchdog: Watchdog


def build(settings: Settings) -> Parts:
    """All parts of a daemon. Raises SettingsError, UsageError and BundleError."""
    classifier = load_bundle(settings)
    accounting, latencies, registry = Accounting(), Latencies(), CollectorRegistry()
    metrics = Metrics(registry, classifier.labels)
    messages: Messages = queue.SimpleQueue()
    lock, decoder = FairLock(), make_decoder(settings)
    devices = make_devices(settings, classifier.bundle)
    journal = make_journal(settings, classifier.bundle)
    outcomes = WindowOutcomes(accounting, journal)
    window_queue = WindowQueue(outcomes.abandoned, queue_bounds(settings))
    session = Session(
        session_options(settings), Topics(settings.ingest.topics).filters(), status_topic(settings), messages,
        on_received=accounting.received, on_shed=accounting.shed,
    )  # fmt: skip
    discovery = make_discovery(settings, classifier, session)

    def handed_over(total_s: float) -> None:
        metrics.latency.observe(total_s)
        latencies.observe(total_s)

    callbacks = PublishCallbacks(metrics.labelled, handed_over, outcomes.acknowledged, journal.mark_silent)
    publisher = make_publisher(
        settings, classifier.bundle, session.outbox.put, callbacks, known=devices.__contains__, discovery=discovery
    )
    diagnoses = Diagnoses(look_rules(settings, classifier.bundle), settings.ingest.max_devices)
    diagnosis_publisher = DiagnosisPublisher(
        session.outbox.put, devices.__contains__, prefix=settings.publish.prefix,
        max_devices=settings.ingest.max_devices, topics=settings.ingest.topics,
    )  # fmt: skip
    assembler = Assembler(
        messages, decoder=decoder, devices=devices, journal=journal, window_queue=window_queue,
        publisher=publisher, diagnoses=diagnoses, diagnosis_publisher=diagnosis_publisher,
        accounting=accounting, metrics=metrics, lock=lock, acknowledge=session.acknowledge,
    )  # fmt: skip
    labeller = Labeller(
        classifier, window_queue=window_queue, publisher=publisher, metrics=metrics, max_batch=settings.model.max_batch,
        lock=lock, failed=outcomes.failed,
    )  # fmt: skip
    assemble_thread = Worker("assemble", assembler.work, lambda: not messages.empty())
    label_thread = Worker("label", labeller.work, lambda: len(window_queue) > 0)
    notifier = systemd.Notifier(systemd.watchdog_interval_s())
    watchdog = Watchdog(
        (assemble_thread, label_thread), session,
        patience_s=min(settings.stuck_after_s, notifier.interval_s or settings.stuck_after_s),
        connect_patience_s=settings.mqtt.reconnect_max_s + settings.mqtt.keepalive_s + CONNECT_S,
    )  # fmt: skip
    parts = Parts(
        monotonic(), accounting, latencies, registry, devices, journal, outcomes, window_queue, session, discovery,
        publisher, diagnoses, diagnosis_publisher, decoder, assembler, labeller, assemble_thread, label_thread,
        notifier, watchdog,
    )  # fmt: skip
    registry.register(
        AccountingCollector(
            accounting, lambda: gauges(settings, parts), lambda: model_facts(settings, labeller.classifier)
        )
    )
    return parts


def gauges(settings: Settings, parts: Parts) -> Gauges:
    """What the parts hold at this moment. Safe to call from any thread."""
    session, journal = parts.session, parts.journal
    return Gauges(
        devices=len(parts.devices), devices_active=parts.devices.active(), pending=len(parts.window_queue),
        outbox=len(session.outbox), connected=session.connected, subscribed=session.subscribed,
        reconnects=session.reconnects, uptime_s=monotonic() - parts.started_at, stalled_s=parts.watchdog.stalled_s,
        journal=journal.writing if settings.state.durability == "journal" else None,
        problems=parts.diagnosis_publisher.summary(),
    )  # fmt: skip


def load_bundle(settings: Settings) -> Classifier:
    """The classifier that the settings ask for. Raises BundleError."""
    model = settings.model
    precision = None if model.precision == "bundle" else model.precision
    return load(model.bundle, model.backend, model.threads, precision)


def status_topic(settings: Settings) -> str:
    """Where the session says `online` and `offline`."""
    return f"{settings.own_topic}/status"


def make_devices(settings: Settings, bundle: Bundle) -> Devices:
    """No devices yet, under the bundle's grid and the settings' rules. Raises SettingsError."""
    ingest = settings.ingest
    rules = DeviceRules(
        max_devices=ingest.max_devices, reorder_s=ingest.reorder_s, silent_after_s=ingest.silent_after_s,
        forget_after_s=ingest.forget_after_s, max_abs_ms2=ingest.max_abs_ms2,
    )  # fmt: skip
    return Devices(make_grid(settings, bundle), bundle.default_mounting(), rules)


def look_rules(settings: Settings, bundle: Bundle) -> LookRules:
    """What a device's samples are held against."""
    shared = any(topic.startswith("$share/") for topic in settings.ingest.topics)
    return LookRules(bundle.least_rate_hz or LEAST_RATE_HZ, shared=shared)


def make_grid(settings: Settings, bundle: Bundle) -> Grid:
    """The grid of the bundle's windows under the settings' rules. Raises SettingsError."""
    ingest, labels, window = settings.ingest, settings.labels, bundle.manifest.window
    try:
        return Grid(
            window.length_s, window.rate_hz, hop_s=labels.hop_s, max_gap_s=ingest.max_gap_s,
            min_coverage=labels.min_coverage, max_rate_hz=ingest.max_rate_hz,
        )  # fmt: skip
    except ValueError as error:
        raise SettingsError(f"labels, ingest: {error}") from error


def make_decoder(settings: Settings) -> Decoder:
    """The decoder of the configured topics and senders. Raises SettingsError or UsageError."""
    ingest = settings.ingest
    warn_of_places(settings)
    return Decoder(make_senders(settings), max_payload_bytes=ingest.max_payload_bytes, max_rate_hz=ingest.max_rate_hz)


def warn_of_places(settings: Settings) -> None:
    """Says which places of the settings HARD doesn't know."""
    for sentence in unknown_places(settings):
        log.warning("%s", sentence)


def queue_bounds(settings: Settings) -> QueueBounds:
    """The bounds of the window queue."""
    model = settings.model
    return QueueBounds(model.max_age_s, model.max_pending_per_device, model.max_pending)


def make_publisher(
    settings: Settings, bundle: Bundle, put: Callable[[Outgoing], None], callbacks: PublishCallbacks,
    *, known: Callable[[str], bool], discovery: Discovery | None,
) -> Publisher:  # fmt: skip
    """The publisher under the settings' topics, quality of service, thresholds and smoothing."""
    publish, labels = settings.publish, settings.labels
    return Publisher(
        put, callbacks, known, prefix=publish.prefix, qos=publish.qos, expiry_s=publish.expiry_s,
        acceptance=make_acceptance(labels, bundle), smoother=make_smoother(labels, bundle),
        max_devices=settings.ingest.max_devices, device_observer=discovery,
    )  # fmt: skip


def make_smoother(labels: LabelsSection, bundle: Bundle) -> Smoother:
    """What makes states of the bundle's labels, as the settings ask."""
    if labels.smoothing == "majority":
        return MajoritySmoother(labels.smooth_windows)
    states = bundle.states()
    return StateFilter(
        make_acceptance(labels, bundle), states.transition, tempering=states.tempering, hop_s=labels.hop_s,
        lag_s=labels.lag_s,
    )  # fmt: skip


def make_acceptance(labels: LabelsSection, bundle: Bundle) -> Acceptance:
    """Which of the bundle's labels are accepted, as the settings ask or the bundle recommends."""
    return Acceptance(
        bundle.manifest.labels, bundle.parents(), bundle.min_confidence(labels.min_confidence),
        bundle.min_familiar(labels.min_familiar),
    )  # fmt: skip


def make_discovery(settings: Settings, classifier: Classifier, session: Session) -> Discovery | None:
    """What makes devices appear in Home Assistant, where the settings ask for it."""
    if not settings.publish.homeassistant:
        return None
    discovery = Discovery(
        session.outbox.put, discovery_facts(classifier), prefix=settings.publish.prefix,
        status_topic=status_topic(settings),
    )  # fmt: skip
    session.on_notice(BIRTH_TOPIC, discovery.birth)
    return discovery


def discovery_facts(classifier: Classifier) -> Facts:
    """What Home Assistant hears about the model."""
    bundle = classifier.bundle
    return Facts(bundle.model, (*classifier.labels, *bundle.parents(), UNKNOWN), __version__)


def model_facts(settings: Settings, classifier: Classifier) -> ModelFacts:
    """What the metrics say about the model that labels."""
    manifest = classifier.bundle.manifest
    info = {
        "version": __version__,
        "model": classifier.bundle.model,
        "backend": settings.model.backend,
        "base": manifest.training.base,
        "prompt": f"{manifest.prompt.style} {manifest.prompt.version}",
    }
    return ModelFacts(info, manifest.training.windows, classifier.levels)


def make_journal(settings: Settings, bundle: Bundle) -> Journal:
    """The journal in the state directory. Its contents are of use only under the same grid and units."""
    ingest, window, state = settings.ingest, bundle.manifest.window, settings.state
    compatibility = Compatibility(
        windows={"length_s": window.length_s, "rate_hz": window.rate_hz, "hop_s": settings.labels.hop_s},
        payloads=ingest.model_dump(include={
            "format", "mapping", "unit", "scale", "axes", "time_unit", "clock", "epoch", "rate_hz", "topics",
        }),
    )  # fmt: skip
    name = f"journal-{settings.instance}.db" if settings.instance else "journal.db"
    return Journal(Store(state.dir / name, state.synchronous), state.durability, compatibility)


def session_options(settings: Settings) -> SessionOptions:
    """Where and how to connect. Raises SettingsError or UsageError where a file of a secret or of TLS can't be used."""
    mqtt = settings.mqtt
    tls = tls_context(mqtt.ca_file, mqtt.cert_file, mqtt.key_file) if mqtt.tls else None
    return SessionOptions(
        BrokerAddress(
            mqtt.host, mqtt.port, mqtt.username or None, settings.password(), tls, mqtt.transport, mqtt.path
        ),
        settings.client_id,
        protocol=mqtt.protocol, keepalive_s=mqtt.keepalive_s, reconnect_max_s=mqtt.reconnect_max_s,
        session_expiry_s=mqtt.session_expiry_s, max_inflight=mqtt.max_inflight, max_outbox=mqtt.max_outbox,
        max_incoming=settings.ingest.max_queued_messages,
    )  # fmt: skip
