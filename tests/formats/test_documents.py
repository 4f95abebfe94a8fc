"""JSON or CBOR, by the first byte."""

from __future__ import annotations

import json

import pytest

from hard.formats import cbor
from hard.formats.documents import parse
from hard.formats.raw_samples import PayloadError


@pytest.mark.parametrize("document", [{"a": [1, 2.5]}, [{"b": None}], {}, []])
def test_both_are_read(document: object) -> None:
    assert parse(cbor.encode(document)) == parse(json.dumps(document).encode()) == document
    assert parse(b" \n" + json.dumps(document).encode()) == document


@pytest.mark.parametrize(("payload", "reason"), [(b"", "json"), (b"{x", "json"), (b"\x9f", "cbor"), (b"\x81", "cbor")])
def test_neither_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        parse(payload)
    assert caught.value.reason == reason
