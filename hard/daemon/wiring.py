"""Settings → rooms: what each room is made with. Knows every room's constructor and nothing of their work."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from hard import __version__
from hard.formats.payloads import Decoder
from hard.journal.journal import Journal
from hard.journal.store import Store
from hard.model.bundle import Bundle
from hard.model.classifier import Classifier
from hard.monitoring.metrics import Model
from hard.motion.devices import DeviceRules, Devices
from hard.motion.windows import Grid
from hard.mqtt.outbox import Outgoing
from hard.mqtt.session import Broker
from hard.outputs.homeassistant import Discovery, Facts
from hard.settings import Settings, SettingsError


def devices(settings: Settings, classifier: Classifier) -> Devices:
    """The empty fleet, under the bundle's grid and the settings' rules."""
    ingest = settings.ingest
    rules = DeviceRules(
        ingest.max_devices, ingest.reorder_s, ingest.silent_after_s, ingest.forget_after_s, ingest.max_abs_ms2
    )
    return Devices(grid(settings, classifier.bundle), classifier.bundle.usual(), rules)


def grid(settings: Settings, bundle: Bundle) -> Grid:
    """The grid of the bundle's windows under the settings' rules. Raises SettingsError."""
    ingest, labels = settings.ingest, settings.labels
    try:
        return bundle.grid(
            hop_s=labels.hop_s, max_gap_s=ingest.max_gap_s, min_coverage=labels.min_coverage,
            max_rate_hz=ingest.max_rate_hz,
        )  # fmt: skip
    except ValueError as error:
        raise SettingsError(f"labels, ingest: {error}") from error


def decoder(settings: Settings) -> Decoder:
    """The decoder of the configured topics, format and units."""
    ingest = settings.ingest
    return Decoder(
        ingest.topics, format=ingest.format, unit=ingest.unit, time_unit=ingest.time_unit,
        max_payload_bytes=ingest.max_payload_bytes, max_rate_hz=ingest.max_rate_hz,
    )  # fmt: skip


def discovery(
    settings: Settings, classifier: Callable[[], Classifier], put: Callable[[Outgoing], None]
) -> Discovery | None:
    """What makes devices appear in Home Assistant, where that is wanted."""
    if not settings.publish.homeassistant:
        return None

    def facts() -> Facts:
        return Facts(classifier().bundle.model, tuple(classifier().labels), __version__)

    return Discovery(put, facts, prefix=settings.publish.prefix, status_topic=f"{settings.own_topic}/status")


def model_facts(settings: Settings, classifier: Classifier) -> Model:
    """What metrics tell of the model that labels."""
    manifest = classifier.bundle.manifest
    info = {
        "version": __version__,
        "model": classifier.bundle.model,
        "backend": settings.model.backend,
        "base": manifest.training.base,
        "prompt": f"{manifest.prompt.style} {manifest.prompt.version}",
    }
    return Model(info, manifest.training.windows, classifier.levels)


def journal(settings: Settings, bundle: Bundle) -> Journal:
    """The journal in the state directory; what it holds means something only under the same grid and units."""
    ingest, window, state = settings.ingest, bundle.manifest.window, settings.state
    kind: dict[str, object] = {
        "length_s": window.length_s, "rate_hz": window.rate_hz, "hop_s": settings.labels.hop_s,
        "format": ingest.format, "unit": ingest.unit, "time_unit": ingest.time_unit, "topics": ingest.topics,
    }  # fmt: skip
    name = f"journal-{settings.instance}.db" if settings.instance else "journal.db"
    return Journal(Store(state.dir / name, state.synchronous), state.durability, kind)


def broker(settings: Settings) -> Broker:
    """Where to connect, with every file checked to be there. Raises SettingsError."""
    mqtt = settings.mqtt
    for name in ("ca_file", "cert_file", "key_file"):
        path = getattr(mqtt, name)
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise SettingsError(f"mqtt.{name}: {path} can't be read: {error.strerror}") from error
    if mqtt.tls:
        try:
            context = ssl.create_default_context(cafile=str(mqtt.ca_file) if mqtt.ca_file else None)
        except ssl.SSLError as error:
            raise SettingsError(f"mqtt.ca_file: {mqtt.ca_file} is not a certificate: {error.reason}") from error
        try:
            if mqtt.cert_file and mqtt.key_file:
                context.load_cert_chain(mqtt.cert_file, mqtt.key_file)
        except ssl.SSLError as error:
            raise SettingsError(f"mqtt.cert_file, mqtt.key_file: not a certificate and its key: {error}") from error
    return Broker(
        host=mqtt.host, port=mqtt.port, client_id=settings.client_id, protocol=mqtt.protocol,
        username=mqtt.username or None, password=settings.password(),
        tls=mqtt.tls, ca_file=mqtt.ca_file, cert_file=mqtt.cert_file, key_file=mqtt.key_file,
        keepalive_s=mqtt.keepalive_s, reconnect_max_s=mqtt.reconnect_max_s, session_expiry_s=mqtt.session_expiry_s,
        max_inflight=mqtt.max_inflight, max_outbox=mqtt.max_outbox, max_queued=settings.ingest.max_queued_messages,
    )  # fmt: skip
