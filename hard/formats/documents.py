"""Payloads that are JSON or CBOR, told by the first byte → a document."""

from __future__ import annotations

from hard.formats import cbor, json_text

_JSON_BEGINS = frozenset(b"{[ \t\r\n\xef")  # none of them begins a list or map in CBOR (RFC 8949, 3.1)


def parse(payload: bytes) -> object:
    """The document. Raises PayloadError."""
    return json_text.parse(payload) if not payload or payload[0] in _JSON_BEGINS else cbor.parse(payload)
