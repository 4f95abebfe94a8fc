"""CBOR in HARD's own shapes, and what happens without its library."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hard.formats.cbor import encode, is_installed, parse, read
from hard.formats.raw_samples import PayloadError

T = 1_700_000_000.0


def test_all_shapes_are_read_and_a_bad_sample_is_nan() -> None:
    batch = read(encode({"t0": T, "rate": 50, "xyz": [[1, 2, 3], [4, float("nan"), 6]]}))
    assert (batch.t0, batch.rate_hz) == (T, 50.0)
    np.testing.assert_array_equal(np.isnan(batch.xyz).any(axis=1), [False, True])
    dated = read(b"\x81" + encode({"t": 0, "x": 1, "y": 2, "z": 3}).replace(b"at\x00", b"at\xc1\x1a\x65\x53\xf1\x00"))
    assert dated.time_unit == "s"
    np.testing.assert_array_equal(dated.time, [T])


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"\x9b" + b"\xff" * 8, b"\x81" * 100_000, b"\x5b\x7f" + b"\xff" * 7, b"\xd8\x23\x61(", b"\xa1\x80"],
)
def test_other_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError) as caught:
        parse(payload)
    assert caught.value.reason == "cbor"


def test_without_the_extra_it_says_what_to_install_and_is_never_imported_before() -> None:
    """In a Python of its own, where there is no cbor2."""
    code = """
import sys
import hard.formats.formats, hard.daemon.sender_settings
assert "cbor2" not in sys.modules
sys.modules["cbor2"] = None
from hard.daemon.sender_settings import make_senders
from hard.errors import UsageError
from hard.settings import IngestSection, Settings
make_senders(Settings(ingest=IngestSection(format="senml")))
try:
    make_senders(Settings(ingest=IngestSection(format="cbor")))
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ingest.format: CBOR needs the extra: pip install 'hard-daemon[cbor]'\n"
    assert is_installed()
