"""Native JSON messages: written by commands, read by the daemon."""

from __future__ import annotations

import numpy as np

from hard.formats.native_json import encode_batch
from hard.formats.payloads import Decoder
from hard.records import Message


def test_the_daemon_reads_even_and_uneven_times() -> None:
    decoder = Decoder(["sensors/{device}/accel"])
    xyz = np.random.default_rng(0).normal(0, 9, (50, 3))
    even = 1.8e9 + np.arange(50) / 50
    uneven = even + np.linspace(0, 0.01, 50) ** 2 + np.arange(50) % 2 * 0.003
    for time_s, field in ((even, b'"t0"'), (uneven, b'"t"'), (even[:1], b'"t0"')):
        payload = encode_batch(time_s, xyz[: len(time_s)], 50.0)
        assert field in payload
        samples = decoder.decode(Message("sensors/d/accel", payload, 0.0, 0.0))
        assert samples.device == "d"
        np.testing.assert_allclose(samples.time, time_s, rtol=0, atol=6e-5)
        np.testing.assert_allclose(samples.xyz, xyz[: len(time_s)], atol=1e-5)
