"""Input that is no activity: the same from the same seed, and labelled with some confidence."""

import numpy as np
from training.evaluation import out_of_distribution

from hard.model.classifier import load


def test_every_kind_is_finite_and_follows_from_the_seed() -> None:
    first, second = (out_of_distribution.kinds(80, 20.0, seed=1) for _ in range(2))
    assert set(first) == {"all zeros", "white noise", "thrown about"}
    for name, windows in first.items():
        assert windows.shape == (out_of_distribution.COUNT, 80, 3)
        assert windows.dtype == np.float32
        assert np.isfinite(windows).all()
        np.testing.assert_array_equal(windows, second[name])
    assert np.abs(first["thrown about"]).max() > 20


def test_the_shipped_bundle_accepts_none_of_it_at_its_recommended_threshold() -> None:
    classifier = load()
    abstaining = classifier.bundle.manifest.training.metrics.abstaining
    assert abstaining is not None
    for kind, confidence in out_of_distribution.confidences(classifier).items():
        assert confidence.shape == (out_of_distribution.COUNT,)
        assert (confidence >= abstaining.min_confidence).mean() == abstaining.no_activity[kind]
