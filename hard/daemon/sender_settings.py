"""The settings of `ingest` and `[[devices]]` → the rules of each sender, everything resolved once."""

from __future__ import annotations

from datetime import UTC, datetime

from hard.errors import UsageError
from hard.formats import cbor
from hard.formats.formats import BY_NAME, Read
from hard.formats.mapping import compile_mapping
from hard.formats.ready_made import READY_MADE
from hard.pipeline.sender_rules import Axes, SenderRules, Senders
from hard.settings import DeviceEntry, IngestSection, Settings, SettingsError
from hard.units import PLACES, TIME_UNITS, UNITS, is_place, parse_axes, stated_place


def make_senders(settings: Settings) -> Senders:
    """Raises SettingsError for a mapping that can't be used, UsageError where an extra is missing."""
    ingest = settings.ingest
    default = _rules(ingest, DeviceEntry(match="*"), "ingest")
    entries = [(entry.match, _rules(ingest, entry, f"devices.{i}")) for i, entry in enumerate(settings.devices)]
    for topic in ingest.topics:
        if "{device}" not in topic and not set(topic) & set("+#"):
            own = topic.split("/", 2)[2] if topic.startswith("$share/") else topic
            format_ = Senders((topic,), default, entries).by_topic(own)[1].format
            if not format_.names_device:
                why = f"since {format_.name} payloads don't name the device"
                raise SettingsError(f"ingest.topics: {topic!r} must have {{device}} as one whole level, {why}")
    return Senders(ingest.topics, default, entries)


def unknown_places(settings: Settings) -> list[str]:
    """A sentence for each place that HARD doesn't know: it counts as any."""
    stated = {"ingest.place": settings.ingest.place}
    stated |= {f"devices.{i}.place": entry.place for i, entry in enumerate(settings.devices) if entry.place is not None}
    return [
        f"{name}: {place!r} is none of {', '.join(PLACES)}: it counts as any"
        for name, place in stated.items()
        if not is_place(place)
    ]


def _rules(ingest: IngestSection, entry: DeviceEntry, name: str) -> SenderRules:
    """The rules of `entry`, which is called `name`; what it leaves out is as in `ingest`."""
    chosen = {
        key: getattr(ingest if getattr(entry, key) is None else entry, key) for key in DeviceEntry.model_fields
        if key != "match"
    }  # fmt: skip
    format_, mapped = BY_NAME[chosen["format"]], _mapped(chosen["mapping"], name)
    read = format_.read or mapped
    if read is None:
        raise SettingsError(f"{name}.format: mapping needs {name}.mapping")
    if read is cbor.read and not cbor.is_installed():
        raise UsageError(f"{name}.format: {cbor.INSTALL}")
    return SenderRules(
        format_, read, mapped, chosen["scale"] or UNITS[chosen["unit"]], chosen["scale"] is not None, ingest.time_unit,
        TIME_UNITS[ingest.time_unit], chosen["clock"], datetime(chosen["epoch"], 1, 1, tzinfo=UTC).timestamp(),
        chosen["rate_hz"], _axes(chosen["axes"]), stated_place(chosen["place"]),
    )  # fmt: skip


def _mapped(mapping: str | dict[str, object] | None, name: str) -> Read | None:
    if mapping is None or isinstance(mapping, str):
        return READY_MADE[mapping] if mapping else None
    try:
        return compile_mapping(mapping)
    except ValueError as error:
        raise SettingsError(f"{name}.mapping: {error}") from error


def _axes(text: str) -> Axes | None:
    order, signs = parse_axes(text)
    return None if (order, signs) == ((0, 1, 2), (1.0, 1.0, 1.0)) else (list(order), list(signs))
