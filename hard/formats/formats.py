"""The list of payload formats: a new one is a module of this package and a line in FORMATS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hard.formats import cbor, csv_lines, int16, messagepack, native_json, phyphox, senml, sensor_logger
from hard.formats.raw_samples import RawSamples

Read = Callable[[bytes], RawSamples]
ANY_JSON, ANY_CBOR = "application/json", "application/cbor"


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """A payload format: its name in `ingest.format`, the content types that mean it, the function that reads a payload
    (None for `mapping`, whose paths are a setting), and content types of other formats that it may come with.
    A payload that begins as gzip does is unpacked first, where the format doesn't begin so itself. Some formats
    never name the device."""

    name: str
    content_types: tuple[str, ...]
    read: Read | None
    may_come_as: tuple[str, ...] = ()
    may_be_gzip: bool = True
    names_device: bool = True


FORMATS = (
    PayloadFormat("json", (ANY_JSON,), native_json.read, ("text/plain",)),
    PayloadFormat("csv", ("text/csv",), csv_lines.read, ("text/plain",), names_device=False),
    PayloadFormat("msgpack", ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack"),
                  messagepack.read),
    PayloadFormat("cbor", (ANY_CBOR,), cbor.read),
    PayloadFormat("senml", ("application/senml+json", "application/senml+cbor"), senml.read, (ANY_JSON, ANY_CBOR)),
    PayloadFormat("sensorlogger", ("application/vnd.sensorlogger+json",), sensor_logger.read, (ANY_JSON,)),
    PayloadFormat("phyphox", ("application/vnd.phyphox+json",), phyphox.read, (ANY_JSON,),
                  names_device=False),
    PayloadFormat("int16", ("application/vnd.hard.int16",), int16.read, ("application/octet-stream",),
                  may_be_gzip=False,
                  names_device=False),
    PayloadFormat("mapping", ("application/vnd.hard.mapping+json", "application/vnd.hard.mapping+cbor"), None,
                  (ANY_JSON, ANY_CBOR, "text/plain")),
)  # fmt: skip
BY_NAME = {format_.name: format_ for format_ in FORMATS}
BY_CONTENT_TYPE = {content_type: format_ for format_ in FORMATS for content_type in format_.content_types}
