"""A format is recognised by trying: each one's own payloads, home-made shapes, and nothing where nothing fits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.planted import MISTAKES, heard

from hard.formats.guess import guess
from hard.formats.ready_made import READY_MADE
from hard.formats.writers import WRITERS, Batch

TIME = 1_700_000_000 + np.arange(50) / 50
XYZ = np.array([0.5, 9.8, -1.25]) + np.arange(150).reshape(50, 3) / 100


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_is_recognised_by_what_it_writes(name: str) -> None:
    found = guess(WRITERS[name](Batch(TIME, XYZ, 50.0, "ph-1", 1_699_999_000.0)))
    assert found is not None
    assert (found.format, found.mapping) == (("mapping", name) if name in READY_MADE else (name, None))
    total = sum(len(raw.xyz) for raw in found.read.values())
    assert total == 50


SHAPES: dict[str, tuple[object, dict[str, str]]] = {
    "short names": ({"ax": 0.5, "ay": 9.8, "az": 1.0, "ts": 5}, {"x": "$.ax", "y": "$.ay", "z": "$.az", "t": "$.ts"}),
    "deep": (
        {"dev": "b-1", "data": {"imu": {"accX": 0.5, "accY": 9.8, "accZ": 1.0, "gyrX": 3}}},
        {"x": "$.data.imu.accX", "y": "$.data.imu.accY", "z": "$.data.imu.accZ", "device": "$.dev"},
    ),
    "a list of objects": (
        {"fs": 50, "samples": [{"x": 0.5, "y": 9.8, "z": 1.0, "time": 1.5}]},
        {"samples": "$.samples", "x": "$.x", "y": "$.y", "z": "$.z", "rate": "$.fs", "t": "$.time"},
    ),
    "a triple": ({"acc": [0.5, 9.8, 1.0]}, {"x": "$.acc[0]", "y": "$.acc[1]", "z": "$.acc[2]"}),
    "a name with a blank": (
        {"my sensor": {"x": 0.5, "y": 9.8, "z": 1.0}},
        {"x": "$['my sensor'].x", "y": "$['my sensor'].y", "z": "$['my sensor'].z"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_home_made_shapes_get_a_mapping(name: str) -> None:
    document, paths = SHAPES[name]
    found = guess([json.dumps(document).encode()] * 5)
    assert found is not None
    assert (found.format, found.mapping) == ("mapping", paths)
    assert all(raw.xyz[0].tolist() == [0.5, 9.8, 1.0] for raw in found.read.values())


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"on", b'{"temperature": 21.5}', b'{"gyro": {"x": 1, "y": 2, "z": 3}}', b"[1, 2", b"12.5", bytes(7)],
)
def test_what_holds_no_samples_is_nothing(payload: bytes) -> None:
    assert guess([payload] * 5) is None


def test_the_known_format_stays_and_gravity_taken_out_is_told() -> None:
    payloads = WRITERS["csv"](Batch(TIME, XYZ, 50.0, "ph-1", 0.0))
    from hard.formats import csv_lines

    found = guess(payloads, csv_lines.read)
    assert found is not None
    assert found.format == ""
    (own,) = heard(MISTAKES["gravity taken out by the app"]).values()
    told = guess([message.payload for message in own.messages])
    assert told is not None
    assert told.no_gravity


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_payload_breaks_it(payloads: list[bytes]) -> None:
    guess(payloads)


@given(
    st.lists(
        st.recursive(
            st.none() | st.integers() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(st.sampled_from(["x", "y", "z", "t", "ax", "payload"]), inner)
            ),
        ),
        max_size=4,
    )
)
def test_no_document_breaks_it(documents: list[object]) -> None:
    guess([json.dumps(document).encode() for document in documents])
