"""What a sender of each format writes, the decoder reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder import decoder, message
from support.payloads import SETTINGS, T, batch, settings_of

from hard.formats.writers import WRITERS

DECODERS = {name: decoder(**settings_of(name)) for name in SETTINGS}
ON_ARRIVAL = {"int16", "edgeimpulse"}
UPTIMES = {"sensorspot", "movesense"}


@pytest.mark.parametrize("name", WRITERS)
@given(
    n=st.integers(1, 120),
    rate_hz=st.sampled_from([20.0, 50.0, 104.0]),
    seed=st.integers(0, 2**32),
    ms=st.integers(0, 10**9),
)
def test_samples_and_times_survive(name: str, n: int, rate_hz: float, seed: int, ms: int) -> None:
    sent = batch(n, rate_hz, T + ms / 1000, seed)
    found = [DECODERS[name].decode(message(payload)) for payload in WRITERS[name](sent)]
    np.testing.assert_allclose(np.concatenate([one.xyz for one in found]), sent.xyz, atol=3e-3)
    assert not any(one.invalid for one in found)
    if name in ON_ARRIVAL:
        assert found[0].time is None
    else:
        expected = sent.time_s - (sent.start_s if name in UPTIMES else 0.0)
        times = np.concatenate([one.time for one in found if one.time is not None])
        np.testing.assert_allclose(times, expected, rtol=0, atol=6e-4)
    assert {one.uptime for one in found} == {name in UPTIMES}
