"""A network and a table of quantiles say how familiar pooled outputs are."""

from __future__ import annotations

import numpy as np
import pytest

from hard.model.familiarity import Familiarity, FamiliaritySpec, packed, with_distance

WHITENING = np.diag([1.0, 2.0]).astype(np.float32)
MEANS = np.array([[0.0, 0.0], [4.0, 0.0]], np.float32)
# One unit: 10 less the logarithm of the squared distance.
SPEC = FamiliaritySpec(
    min_familiar=0.05,
    quantiles=((4.0, 6.0, 10.0), (0.0, 4.0, 8.0)),
    whitening=packed(WHITENING),
    means=packed(MEANS),
    hidden=packed(np.array([[0.0], [0.0], [-1.0], [10.0]], np.float32)),
    output=packed(np.ones(1, np.float32)),
)


def test_the_distance_is_that_to_the_nearest_label_after_whitening() -> None:
    pooled = np.array([[3.0, 0.5], [1.0, 1.0], [0.0, 0.0]], np.float32)
    found = with_distance(pooled, WHITENING, MEANS)
    np.testing.assert_array_equal(found[:, :2], pooled)
    np.testing.assert_allclose(np.exp(found[:, 2]), [1 + 1, 1 + 4, 1e-3], rtol=1e-5)


def test_familiar_is_the_share_of_known_windows_of_its_label_that_are_less_familiar() -> None:
    distances = np.exp(np.array([10 - 4.0, 10 - 5.0, 10 - 6.0, 10 - 8.0, 10 - 3.0, 10 - 12.0]))
    pooled = np.stack([-np.sqrt(distances), np.zeros(6)], axis=1).astype(np.float32)
    label = np.array([0, 0, 0, 0, 1, 1])
    found = Familiarity(SPEC, 2).of(pooled, label)
    np.testing.assert_allclose(found, [0.0, 0.25, 0.5, 0.75, 0.375, 1.0], atol=1e-5)


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        Familiarity(SPEC, 3)
