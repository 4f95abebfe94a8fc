"""Messages → samples: device, format, units and limits, and everything that must be refused."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder import T, decoder, message

from hard.daemon.sender_settings import make_senders
from hard.daemon.wiring import make_decoder
from hard.formats.raw_samples import PayloadError
from hard.settings import DeviceEntry, IngestSection, Settings

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


def test_samples_have_the_place_that_is_stated_for_their_device() -> None:
    payload = {"rate": 25, "xyz": [[0, 0, 9]]}
    entries = (DeviceEntry(match="watch-*", place="Left wrist"), DeviceEntry(match="b", place="any"))
    decoding = make_decoder(Settings(ingest=IngestSection(place="front pocket"), devices=entries))
    found = [decoding.decode(message(payload, f"sensors/{device}/accel")).place for device in ("a", "watch-1", "b")]
    assert found == ["pocket", "wrist", None]
    assert decoder().decode(message(payload)).place is None


def test_the_content_type_beats_the_setting() -> None:
    samples = decoder(format="json").decode(message(f"{T},1,2,3".encode(), content_type="text/csv; charset=utf-8"))
    assert len(samples.xyz) == 1
    assert reason({"t": T, "x": 1, "y": 2, "z": 3}, content_type="application/xml") == "content_type"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b"\xff\xfe", "json"),
        (b"[" * 50_000, "json"),
        (b'{"deep": ' + b"[" * 50_000, "json"),
        (b'{"xyz": [[NaN, 1, 2]], "t0": 1700000000, "rate": 20}', "not_finite"),
        (b'{"t": 1700000000, "x": 1e999, "y": 0, "z": 0}', "not_finite"),
        ([], "empty"),
        ([1], "fields"),
        (5, "fields"),
        ({}, "fields"),
        ({"xyz": [[1, 2]]}, "not_finite"),
        ({"xyz": [[1, 2, "three"]]}, "not_finite"),
        ({"xyz": [[1, 2, None]]}, "not_finite"),
        ({"xyz": 5}, "fields"),
        ({"t0": [T], "rate": 5, "xyz": [[1, 2, 3]]}, "fields"),
        ({"t0": T, "xyz": [[1, 2, 3]]}, "fields"),
        ({"t": [T], "x": [1], "y": [2], "z": 3}, "fields"),
        ({"t": [T, T], "x": [1], "y": [2], "z": [3]}, "fields"),
        ({"t": T, "x": 1, "y": 2}, "fields"),
        ({"t": True, "x": 1, "y": 2, "z": 3}, "time_unit"),
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


def test_changed_rules_hold_from_the_next_message_on() -> None:
    decoding, payload = decoder(), message({"t": T, "x": 0, "y": 1, "z": 0})
    np.testing.assert_array_equal(decoding.decode(payload).xyz, [[0, 1, 0]])
    decoding.change(make_senders(Settings(devices=(DeviceEntry(match="a", unit="g"),))))
    np.testing.assert_array_equal(decoding.decode(payload).xyz, [[0, 9.80665, 0]])


def test_a_bad_sample_costs_itself_and_is_counted_by_reason() -> None:
    xyz = [[1, 2, 3], [4, float("nan"), 6], None, [7, 8, 9], ["x", 1, 2]]
    batch = decoder().decode(message({"t0": T, "rate": 50, "xyz": xyz}))
    np.testing.assert_array_equal(batch.xyz, [[1, 2, 3], [7, 8, 9]])
    np.testing.assert_allclose(batch.time, [T, T + 0.06])  # type: ignore[arg-type]
    assert batch.invalid == (("not_finite", 3),)
    huge = decoder(unit="g").decode(message({"t0": T, "rate": 50, "xyz": [[1e308, 0, 0], [0, -1e200, 0], [0, 1, 0]]}))
    assert (len(huge.xyz), huge.invalid) == (1, (("not_finite", 2),))
    columns = decoder().decode(message({"t": [T, None, 5, T + 1], "x": [1] * 4, "y": [1] * 4, "z": [1, 1, 1, None]}))
    assert columns.invalid == (("not_finite", 1), ("time", 2))
    lines = decoder(format="csv").decode(message(f"{T},1,2,3\n{T},1,inf,3\n5,1,2,3\nstray\n".encode()))
    assert (len(lines.xyz), lines.invalid) == (1, (("not_finite", 2), ("time", 1)))
    assert decoder().decode(message({"t0": T, "rate": 50, "xyz": [[1, 2, 3]]})).invalid == ()


def test_gzip_is_unpacked_up_to_the_limit_of_payloads() -> None:
    payload = json.dumps({"t0": T, "rate": 50, "xyz": [[1, 2, 3]] * 50}).encode()
    assert len(decoder().decode(message(gzip.compress(payload))).xyz) == 50
    line = gzip.compress(f"{T},1,2,3".encode())
    assert len(decoder(format="csv").decode(message(line)).xyz) == 1
    assert reason(gzip.compress(payload + b" " * 70_000)) == "oversized"
    assert reason(gzip.compress(bytes(1_000_000)), max_payload_bytes=2000) == "oversized"
    assert reason(gzip.compress(payload)[:-9]) == "gzip"
    assert reason(b"\x1f\x8b\x08 no gzip") == "gzip"
    counts = gzip.compress(b"")[:18]  # three samples that happen to begin so
    assert len(decoder(format="int16").decode(message(counts)).xyz) == 3


def test_counts_have_a_scale_axes_can_be_turned_and_a_rate_can_be_set() -> None:
    decoding = decoder(format="int16", scale=0.01, rate_hz=50, axes="y,-x,z")
    samples = decoding.decode(message(np.array([[100, 200, 300]], "<i2").tobytes()))
    np.testing.assert_allclose(samples.xyz, [[2, -1, 3]])
    assert (samples.time, samples.rate_hz) == (None, 50.0)
    right = decoder(rate_hz=104).decode(message({"t0": T, "rate": 50, "xyz": [[0, 0, 1]] * 2}))
    np.testing.assert_allclose(right.time, [T, T + 1 / 104])  # type: ignore[arg-type]
    assert len(decoder(rate_hz=50).decode(message({"t0": T, "xyz": [[0, 0, 1]] * 2})).xyz) == 2


def test_a_unit_in_the_payload_beats_the_setting_and_a_scale_beats_both() -> None:
    pack = [{"bt": T, "u": "g", "n": axis, "v": 1} for axis in "xyz"]
    np.testing.assert_allclose(decoder(format="senml").decode(message(pack)).xyz, [[9.80665] * 3])
    np.testing.assert_allclose(decoder(format="senml", scale=2).decode(message(pack)).xyz, [[2.0] * 3])


def test_clocks() -> None:
    batch = {"t0": 12_345, "rate": 50, "xyz": [[1, 2, 3]] * 2}
    uptime = decoder(clock="uptime", time_unit="ms").decode(message(batch))
    np.testing.assert_allclose(uptime.time, [12.345, 12.365])  # type: ignore[arg-type]
    assert uptime.uptime
    assert reason({**batch, "t0": -5}, clock="uptime") == "time_unit"
    arrival = decoder(clock="arrival").decode(message(batch))
    assert (arrival.time, arrival.rate_hz, arrival.uptime) == (None, 50.0, False)
    assert decoder(clock="arrival").decode(message({"t": "?", "x": 1, "y": 2, "z": 3})).time is None
    since_2000 = decoder(epoch=2000).decode(message({**batch, "t0": T - 946_684_800}))
    np.testing.assert_allclose(since_2000.time, [T, T + 0.02])  # type: ignore[arg-type]
    assert reason({**batch, "t0": T - 946_684_800 - 1e9}) == "time_unit"
    iso = {**batch, "t0": "2023-11-14T22:13:20"}
    for settings in ({}, {"epoch": 2000}, {"time_unit": "ms"}):
        np.testing.assert_allclose(decoder(**settings).decode(message(iso)).time, [T, T + 0.02])  # type: ignore[arg-type]


def test_a_time_under_another_name_is_told_once_a_device(caplog: pytest.LogCaptureFixture) -> None:
    decoding = decoder()
    for topic in ("sensors/a/accel", "sensors/a/accel", "sensors/b/accel"):
        assert decoding.decode(message({"timestamp": T * 1e3, "rate": 50, "xyz": [[1, 2, 3]]}, topic)).time is None
    decoding.decode(message({"rate": 50, "xyz": [[1, 2, 3]], "timezone": None}, "sensors/c/accel"))
    assert [record.getMessage().split()[0] for record in caplog.records] == ["a", "b"]
    assert all("'timestamp'" in record.getMessage() for record in caplog.records)


def test_a_payload_may_name_the_device_where_the_topic_does_not() -> None:
    decoding = decoder(topics=("acc", "sensors/{device}/accel"))
    payload = {"device": "d-7", "t": T, "x": 1, "y": 2, "z": 3}
    assert decoding.decode(message(payload, "acc")).device == "d-7"
    assert decoding.decode(message(payload)).device == "a"
    for name in ("a b", "a/b", "a+", "#", "@a", "", "x\n", "x" * 129, None, 1.5, []):
        assert reason({**payload, "device": name}, "acc", topics=("acc",)) == "topic", name


@pytest.mark.parametrize(
    ("format_", "content_type", "expected"),
    [("senml", "application/json", "fields"), ("json", "application/senml+json", "fields"),
     ("json", "text/plain", None), ("int16", "application/octet-stream", "int16"),
     ("json", "application/vnd.hard.mapping+json", "content_type"),
     ("json", "application/octet-stream", "content_type"), ("csv", "application/msgpack; x=y", "msgpack")],
)  # fmt: skip
def test_a_general_content_type_is_the_senders_own_format(
    format_: str, content_type: str, expected: str | None
) -> None:
    payload = {"t": T, "x": 1, "y": 2, "z": 34}
    if expected is None:
        assert len(decoder(format=format_).decode(message(payload, content_type=content_type)).xyz) == 1
    else:
        assert reason(payload, content_type=content_type, format=format_) == expected


def test_an_error_names_the_device_where_the_topic_does() -> None:
    for topic, device in (("sensors/a/accel", "a"), ("sensors/@/accel", None)):
        with pytest.raises(PayloadError) as caught:
            decoder().decode(message(b"{", topic))
        assert caught.value.device == device


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
