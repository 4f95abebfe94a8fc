"""Settings → rooms: what each room is made with. Knows every room's constructor and nothing of their work."""

from __future__ import annotations

import ssl

from hard.model.classifier import Classifier
from hard.motion.devices import DeviceRules, Devices
from hard.settings import Settings, SettingsError
from hard.stream.mqtt import Broker
from hard.stream.payloads import Decoder


def devices(settings: Settings, classifier: Classifier) -> Devices:
    """The empty fleet, under the bundle's grid and the settings' rules."""
    ingest, labels, found = settings.ingest, settings.labels, classifier.bundle
    grid = found.grid(
        hop_s=labels.hop_s, max_gap_s=ingest.max_gap_s, min_coverage=labels.min_coverage, max_rate_hz=ingest.max_rate_hz
    )
    rules = DeviceRules(
        ingest.max_devices, ingest.reorder_s, ingest.silent_after_s, ingest.forget_after_s, ingest.max_abs_ms2
    )
    return Devices(grid, found.usual(), rules)


def decoder(settings: Settings) -> Decoder:
    """The decoder of the configured topics, format and units."""
    ingest = settings.ingest
    return Decoder(
        ingest.topics, format=ingest.format, unit=ingest.unit, time_unit=ingest.time_unit,
        max_payload_bytes=ingest.max_payload_bytes, max_rate_hz=ingest.max_rate_hz,
    )  # fmt: skip


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
            ssl.create_default_context(cafile=str(mqtt.ca_file) if mqtt.ca_file else None)
        except ssl.SSLError as error:
            raise SettingsError(f"mqtt.ca_file: {mqtt.ca_file} is not a certificate: {error.reason}") from error
    return Broker(
        host=mqtt.host, port=mqtt.port, client_id=settings.client_id, protocol=mqtt.protocol,
        username=mqtt.username or None, password=settings.password(),
        tls=mqtt.tls, ca_file=mqtt.ca_file, cert_file=mqtt.cert_file, key_file=mqtt.key_file,
        keepalive_s=mqtt.keepalive_s, reconnect_max_s=mqtt.reconnect_max_s, session_expiry_s=mqtt.session_expiry_s,
        max_inflight=mqtt.max_inflight, max_outbox=mqtt.max_outbox,
    )  # fmt: skip
