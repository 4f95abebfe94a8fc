"""JSON as devices write it."""

from __future__ import annotations

from math import inf

import pytest

from hard.formats.json_text import parse
from hard.formats.raw_samples import PayloadError


@pytest.mark.parametrize("end", [b"\0", b"\0\0\0", b"\n", b"\r\n\0", b" ", b"\0rest of a longer message}"])
def test_what_a_c_string_has_at_its_end_is_ignored(end: bytes) -> None:
    assert parse(b'{"x": [1]}' + end) == {"x": [1]}


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize("word", [b"NaN", b"nan", b"-nan", b"Infinity", b"-Infinity", b"inf", b"nan(0x7)", b"1e999"])
def test_numbers_that_are_not_finite_are_infinite(word: bytes) -> None:
    found = parse(b'{"a": %s, "b": [%s,%s], "text": "nan"}' % (word, word, word))
    assert found == {"a": inf, "b": [inf, inf], "text": "nan"}


def test_an_object_a_line_is_a_list() -> None:
    assert parse(b'{"x": 1}\r\n{"x": NaN}\n') == [{"x": 1}, {"x": inf}]
    assert parse(b'{\n"x": 1\n}\n') == {"x": 1}


@pytest.mark.parametrize(
    "payload", [b"{}\n{", b"", b"{", b"\xff", b"[1,]", b"[nano]", b"{} {}", b"[" * 9999, b'["\xff"]']
)
def test_what_is_no_json_is_refused_in_plain_words(payload: bytes) -> None:
    with pytest.raises(PayloadError, match="not JSON") as caught:
        parse(payload)
    assert caught.value.reason == "json"
    assert "`" not in str(caught.value)
