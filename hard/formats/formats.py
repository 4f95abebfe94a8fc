"""The list of payload formats: a new one is a module of this package and a line in FORMATS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hard.formats import csv_lines, native_json
from hard.formats.raw_samples import RawSamples


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """A payload format: its name in `ingest.format`, its content types, and the function that reads a payload."""

    name: str
    content_types: tuple[str, ...]
    read: Callable[[bytes], RawSamples]


FORMATS = (
    PayloadFormat("json", ("application/json",), native_json.read),
    PayloadFormat("csv", ("text/csv",), csv_lines.read),
)
BY_NAME = {format_.name: format_.read for format_ in FORMATS}
BY_CONTENT_TYPE = {content_type: format_.read for format_ in FORMATS for content_type in format_.content_types}
