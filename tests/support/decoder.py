"""A decoder under the default settings, and messages for it."""

from __future__ import annotations

import json
from typing import Any

from hard.daemon.wiring import make_decoder
from hard.pipeline.decoder import Decoder
from hard.records import Message
from hard.settings import IngestSection, Settings

T = 1_700_000_000.0  # Unix s


def decoder(**ingest: Any) -> Decoder:
    """A decoder; `ingest` changes settings of that section."""
    return make_decoder(Settings(ingest=IngestSection(**ingest)))


def message(payload: Any, topic: str = "sensors/a/accel", content_type: str | None = None) -> Message:
    """A message received at T; a payload that isn't bytes is written as JSON."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(topic, data, 5.0, T, content_type=content_type)
