"""Messages → samples: device, format, units and limits, and everything that must be refused."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder import T, decoder, message

from hard.formats.formats import FORMATS
from hard.formats.raw_samples import PayloadError
from hard.settings import IngestSection

FIELDS = ["t", "t0", "x", "y", "z", "xyz", "rate"]


def reason(payload: Any, topic: str = "sensors/a/accel", content_type: str | None = None, **options: Any) -> str:
    with pytest.raises(PayloadError) as caught:
        decoder(**options).decode(message(payload, topic, content_type))
    return caught.value.reason


def test_a_batch_is_spaced_by_its_rate() -> None:
    samples = decoder().decode(message({"t0": T, "rate": 50, "xyz": [[1, 2, 3], [4, 5, 6]]}))
    assert samples.device == "a"
    assert samples.time is not None
    np.testing.assert_allclose(samples.time, [T, T + 0.02])
    np.testing.assert_array_equal(samples.xyz, [[1, 2, 3], [4, 5, 6]])
    assert (samples.received_at, samples.received_wall) == (5.0, T)


def test_units_are_settings() -> None:
    decoding = decoder(unit="g", time_unit="ms")
    samples = decoding.decode(message({"t": [T * 1e3], "x": [0], "y": [1], "z": [0]}))
    np.testing.assert_allclose(samples.xyz, [[0, 9.80665, 0]])
    np.testing.assert_allclose(samples.time, [T])  # type: ignore[arg-type]
    batch = decoding.decode(message({"t0": T * 1e3, "rate": 10, "xyz": [[0, 0, 1]] * 2}))
    np.testing.assert_allclose(batch.time, [T, T + 0.1])  # type: ignore[arg-type]


def test_samples_without_time_keep_their_rate() -> None:
    samples = decoder().decode(message({"rate": 25, "xyz": [[0, 0, 9]]}))
    assert samples.time is None
    assert samples.rate_hz == 25


def test_the_content_type_beats_the_setting() -> None:
    samples = decoder(format="json").decode(message(f"{T},1,2,3".encode(), content_type="text/csv; charset=utf-8"))
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


def test_csv_numbers_that_are_not_finite_are_refused() -> None:
    assert reason(f"{T},nan,0,0".encode(), format="csv") == "not_finite"
    assert reason(b"inf,0,0,0", format="csv") == "time_unit"


@pytest.mark.parametrize(
    "topic",
    ["sensors//accel", "sensors/@a/accel", "other/a/accel", "sensors/a/b/accel", "sensors/" + "x" * 129 + "/accel"],
)
def test_bad_topics_are_refused(topic: str) -> None:
    assert reason({"t": T, "x": 1, "y": 2, "z": 3}, topic) == "topic"


def test_one_of_several_patterns_matches() -> None:
    decoding = decoder(topics=("a/{device}", "b/{device}/c"))
    assert decoding.decode(message({"t": T, "x": 1, "y": 2, "z": 3}, "b/d/c")).device == "d"


@given(payload=st.binary(max_size=300), kind=st.sampled_from(["json", "csv"]))
def test_bytes_are_decoded_or_refused(payload: bytes, kind: str) -> None:
    try:
        samples = decoder(format=kind).decode(message(payload))
    except PayloadError:
        return
    assert np.isfinite(samples.xyz).all()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=12,
)


@given(value=st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_any_json_is_decoded_or_refused(value: Any) -> None:
    try:
        samples = decoder().decode(message(value))
    except PayloadError:
        return
    assert samples.xyz.shape == (len(samples.xyz), 3)
    assert samples.time is None or samples.time.shape == (len(samples.xyz),)


def test_every_format_can_be_set() -> None:
    assert get_args(IngestSection.model_fields["format"].annotation) == tuple(format_.name for format_ in FORMATS)
