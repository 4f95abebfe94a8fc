"""Fitting the simulator: from synthesised runs the parameters behind them are found again."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from fit_simulator import HARMONICS, STRIDE_HZ, by_activity, fit

from hard.recordings.recordings import Recording
from hard.records import Float64Array
from hard.simulator import BANDS_HZ, SYNTHESIS_HZ, Prototype, parameters, synthesise


def synthesised(prototype: Prototype) -> Float64Array:
    """A minute (N, 3) of one prototype."""
    return synthesise(prototype, round(60 * SYNTHESIS_HZ), np.random.default_rng(0))


@pytest.mark.parametrize("activity", sorted(STRIDE_HZ))
def test_the_stride_and_the_mean_of_a_gait_are_found(activity: str) -> None:
    prototype = msgspec.structs.replace(parameters().prototypes[activity][0], pace_sd=0.0, strength_sd=0.0)
    fitted = fit("a", synthesised(prototype), STRIDE_HZ[activity])
    assert fitted.subject == "a"
    assert fitted.stride_hz == pytest.approx(prototype.stride_hz, rel=0.02)
    assert fitted.mean == pytest.approx(prototype.mean, abs=1.0)
    assert len(fitted.cosine) == len(fitted.sine) == HARMONICS
    strength, original = (np.sqrt(np.sum(np.square([p.cosine, p.sine]))) for p in (fitted, prototype))
    assert strength == pytest.approx(original, rel=0.25)


def test_an_activity_without_rhythm_has_no_stride() -> None:
    prototype = parameters().prototypes["Sitting"][0]
    fitted = fit("a", synthesised(prototype), None)
    assert (fitted.stride_hz, fitted.cosine, fitted.sine) == (0.0, (), ())
    assert fitted.mean == pytest.approx(prototype.mean, abs=0.3)
    assert len(fitted.remainder) == len(BANDS_HZ) - 1


def test_runs_of_several_activities_without_truth_or_too_short_are_left_out() -> None:
    def recording(subject: str, n: int, truth: list[str] | None) -> Recording:
        return Recording(
            subject, np.arange(n) / SYNTHESIS_HZ, np.ones((n, 3)), None if truth is None else np.array(truth)
        )

    runs = [
        recording("1", 500, ["Walking"] * 500),
        recording("1", 500, ["Walking"] * 250 + ["Sitting"] * 250),
        recording("2", 500, None),
        recording("2", 100, ["Walking"] * 100),
    ]
    found = by_activity(runs)
    assert {activity: list(subjects) for activity, subjects in found.items()} == {"Walking": ["1"]}
    assert [xyz.shape for xyz in found["Walking"]["1"]] == [(499, 3)]
