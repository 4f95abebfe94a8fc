"""Payload bytes and topics → samples, and everything that must be refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hard.formats.payloads import Decoder, PayloadError, Topics
from hard.records import Message

T = 1_700_000_000.0
FIELDS = ["t", "t0", "x", "y", "z", "xyz", "rate"]
TOPICS = ("sensors/{device}/accel",)


def message(payload: Any, topic: str = "sensors/a/accel", content_type: str | None = None) -> Message:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(topic, data, 5.0, T, content_type=content_type)


def reason(payload: Any, topic: str = "sensors/a/accel", content_type: str | None = None, **options: Any) -> str:
    with pytest.raises(PayloadError) as caught:
        Decoder(TOPICS, **options).decode(message(payload, topic, content_type))
    return caught.value.reason


def test_a_batch_is_spaced_by_its_rate() -> None:
    samples = Decoder(TOPICS).decode(message({"t0": T, "rate": 50, "xyz": [[1, 2, 3], [4, 5, 6]]}))
    assert samples.device == "a"
    assert samples.time is not None
    np.testing.assert_allclose(samples.time, [T, T + 0.02])
    np.testing.assert_array_equal(samples.xyz, [[1, 2, 3], [4, 5, 6]])
    assert (samples.received_at, samples.received_wall) == (5.0, T)


def test_columns_and_a_single_sample_mean_the_same() -> None:
    decoder = Decoder(TOPICS)
    columns = decoder.decode(message({"t": [T], "x": [1], "y": [2.5], "z": [3]}))
    single = decoder.decode(message({"t": T, "x": 1, "y": 2.5, "z": 3}))
    np.testing.assert_array_equal(columns.xyz, single.xyz)
    np.testing.assert_array_equal(columns.time, single.time)  # type: ignore[arg-type]


def test_csv_lines() -> None:
    samples = Decoder(TOPICS, format="csv").decode(message(f"{T},1,2,3\r\n{T + 1}, 4,5,6\n\n".encode()))
    np.testing.assert_array_equal(samples.xyz, [[1, 2, 3], [4, 5, 6]])


def test_units_are_settings() -> None:
    decoder = Decoder(TOPICS, unit="g", time_unit="ms")
    samples = decoder.decode(message({"t": [T * 1e3], "x": [0], "y": [1], "z": [0]}))
    np.testing.assert_allclose(samples.xyz, [[0, 9.80665, 0]])
    np.testing.assert_allclose(samples.time, [T])  # type: ignore[arg-type]
    batch = decoder.decode(message({"t0": T * 1e3, "rate": 10, "xyz": [[0, 0, 1]] * 2}))
    np.testing.assert_allclose(batch.time, [T, T + 0.1])  # type: ignore[arg-type]


def test_samples_without_time_keep_their_rate() -> None:
    samples = Decoder(TOPICS).decode(message({"rate": 25, "xyz": [[0, 0, 9]]}))
    assert samples.time is None
    assert samples.rate_hz == 25


def test_the_content_type_beats_the_setting() -> None:
    samples = Decoder(TOPICS, format="json").decode(
        message(f"{T},1,2,3".encode(), content_type="text/csv; charset=utf-8")
    )
    assert len(samples.xyz) == 1
    assert reason({"t": T, "x": 1, "y": 2, "z": 3}, content_type="application/cbor") == "content_type"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b"\xff\xfe", "json"),
        (b"[" * 50_000, "fields"),
        (b'{"deep": ' + b"[" * 50_000, "json"),
        (b'{"xyz": [[NaN, 1, 2]], "t0": 1700000000, "rate": 20}', "json"),
        (b'{"t": 1700000000, "x": 1e999, "y": 0, "z": 0}', "fields"),
        ([], "fields"),
        ({}, "fields"),
        ({"xyz": [[1, 2]]}, "fields"),
        ({"xyz": [[1, 2, "3"]]}, "fields"),
        ({"xyz": [[1, 2, None]]}, "fields"),
        ({"t0": T, "xyz": [[1, 2, 3]]}, "fields"),
        ({"t": [T], "x": [1], "y": [2], "z": 3}, "fields"),
        ({"t": [T, T], "x": [1], "y": [2], "z": [3]}, "fields"),
        ({"t": T, "x": 1, "y": 2}, "fields"),
        ({"t": True, "x": 1, "y": 2, "z": 3}, "fields"),
        ({"t": T, "xyz": [[1, 2, 3]]}, "fields"),
        ({"t": [T, T + 1], "xyz": [[1, 2, 3], [1, 2, 3]]}, "fields"),
        ({"t0": T, "rate": 50, "xyz": [[1, 2, 3]], "x": [1]}, "fields"),
        ({"xyz": [[1, 2, 3]], "y": 2}, "fields"),
        ({"t0": T, "rate": 50, "x": [1, 2], "y": [1, 2], "z": [1, 2]}, "fields"),
        ({"t0": T, "x": 1, "y": 2, "z": 3}, "fields"),
        ({"t0": T, "t": T, "x": 1, "y": 2, "z": 3}, "fields"),
        ({"xyz": []}, "empty"),
        ({"t": [], "x": [], "y": [], "z": []}, "empty"),
        ({"t0": T, "rate": 0, "xyz": [[1, 2, 3]]}, "rate"),
        ({"t0": T, "rate": -5, "xyz": [[1, 2, 3]]}, "rate"),
        ({"t0": T, "rate": 1e6, "xyz": [[1, 2, 3]]}, "rate"),
        ({"t0": T * 1000, "rate": 20, "xyz": [[1, 2, 3]]}, "time_unit"),
        ({"t": 12.5, "x": 1, "y": 2, "z": 3}, "time_unit"),
        ({"t0": T, "rate": 20, "xyz": [[1, 2, 3]] * 9000}, "oversized"),
    ],
)
def test_bad_payloads_are_refused_by_reason(payload: Any, expected: str) -> None:
    assert reason(payload) == expected


def test_what_the_shapes_do_not_name_is_passed_over() -> None:
    """Fields of a device's own, a null where another shape has a field, and a rate beside times."""
    decoder = Decoder(TOPICS)
    batch = decoder.decode(message({"t0": T, "rate": 50, "xyz": [[1, 2, 3]], "t": None, "x": None, "battery": 0.7}))
    columns = decoder.decode(message({"t": [T], "x": [1], "y": [2], "z": [3], "rate": 50, "t0": None, "seq": [1]}))
    np.testing.assert_array_equal(batch.time, [T])  # type: ignore[arg-type]
    np.testing.assert_array_equal(columns.time, [T])  # type: ignore[arg-type]
    assert columns.rate_hz == 50


@pytest.mark.parametrize("text", ["a,b,c,d", "1,2,3", f"{T},1,2,3,4", f"{T},1,2,", "é"])
def test_bad_csv_is_refused(text: str) -> None:
    assert reason(text.encode(), format="csv") == "csv"


def test_csv_knows_words_for_what_is_not_finite() -> None:
    assert reason(f"{T},nan,0,0".encode(), format="csv") == "not_finite"
    assert reason(b"inf,0,0,0", format="csv") == "time_unit"


@pytest.mark.parametrize(
    "topic",
    ["sensors//accel", "sensors/@a/accel", "other/a/accel", "sensors/a/b/accel", "sensors/" + "x" * 129 + "/accel"],
)
def test_bad_topics_are_refused(topic: str) -> None:
    assert reason({"t": T, "x": 1, "y": 2, "z": 3}, topic) == "topic"


@pytest.mark.parametrize(
    ("pattern", "filter_", "topic"),
    [
        ("{device}", "+", "d"),
        ("plant/+/s/{device}/accel", "plant/+/s/+/accel", "plant/x/s/d/accel"),
        ("{device}/#", "+/#", "d/accel/raw"),
        ("$share/g/sensors/{device}", "$share/g/sensors/+", "sensors/d"),
        ("a.b/{device}", "a.b/+", "a.b/d"),
    ],
)
def test_topic_patterns(pattern: str, filter_: str, topic: str) -> None:
    assert Topics([pattern]).filters() == [filter_]
    assert Decoder([pattern]).decode(message({"t": T, "x": 1, "y": 2, "z": 3}, topic)).device == "d"


def test_one_of_several_patterns_matches() -> None:
    decoder = Decoder(["a/{device}", "b/{device}/c"])
    assert decoder.decode(message({"t": T, "x": 1, "y": 2, "z": 3}, "b/d/c")).device == "d"


@given(payload=st.binary(max_size=300), kind=st.sampled_from(["json", "csv"]))
def test_bytes_are_decoded_or_refused_never_worse(payload: bytes, kind: str) -> None:
    try:
        samples = Decoder(TOPICS, format=kind).decode(message(payload))
    except PayloadError:
        return
    assert np.isfinite(samples.xyz).all()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=12,
)


@given(value=st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_any_json_is_decoded_or_refused_never_worse(value: Any) -> None:
    try:
        samples = Decoder(TOPICS).decode(message(value))
    except PayloadError:
        return
    assert samples.xyz.shape == (len(samples.xyz), 3)
    assert samples.time is None or samples.time.shape == (len(samples.xyz),)
