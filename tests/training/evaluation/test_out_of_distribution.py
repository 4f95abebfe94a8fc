"""Input that is no activity: the same from the same seed, and labelled with some confidence."""

from pathlib import Path

import numpy as np
import pytest
from training.data import loading
from training.evaluation import out_of_distribution
from training.options import Source

from hard.model import bundle
from hard.model.classifier import load


def test_every_kind_is_finite_and_follows_from_the_seed() -> None:
    first, second = (out_of_distribution.kinds(80, 20.0, seed=1) for _ in range(2))
    assert {"all zeros", "slow sway", "a table", "gravity and white noise of 0.5 m/s²"} <= set(first)
    for name, windows in first.items():
        assert windows.shape == (out_of_distribution.COUNT, 80, 3)
        assert windows.dtype == np.float32
        assert np.isfinite(windows).all()
        np.testing.assert_array_equal(windows, second[name])
    assert np.abs(first["thrown about"]).max() > 20


def test_recordings_are_changed_as_wrong_senders_would(recording: Path) -> None:
    runs, _ = loading.load([recording], Source())
    found = out_of_distribution.of_recordings(bundle.read(), runs, 1.0)
    lengths = {name: np.linalg.norm(windows.xyz.mean(axis=1), axis=1) for name, windows in found.items()}
    assert lengths["recordings in g"].mean() == pytest.approx(1, abs=0.05)
    assert np.median(lengths["recordings without gravity"]) < 0.5


def test_the_shipped_bundle_accepts_none_of_it_at_its_recommended_threshold() -> None:
    classifier = load()
    abstaining = classifier.bundle.manifest.training.metrics.abstaining
    assert abstaining is not None
    found = out_of_distribution.certainties(classifier)
    for kind in ("all zeros", "white noise", "thrown about"):
        assert found[kind].confidence.shape == found[kind].familiar.shape == (out_of_distribution.COUNT,)
        assert (found[kind].counted >= abstaining.min_confidence).mean() == 0
