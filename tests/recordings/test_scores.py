"""Accuracy, macro-F1 and the confusion table."""

from __future__ import annotations

import numpy as np
import pytest

from hard.recordings.scores import score, table

NAMES = ("Walking", "Sitting", "Standing")


def test_labels_that_equal_the_truths_have_a_perfect_score() -> None:
    result = score(["Sitting", "Walking"], ["Sitting", "Walking"], NAMES)
    assert (result.accuracy, result.macro_f1, result.count) == (1.0, 1.0, 2)
    assert result.truths == ("Walking", "Sitting")
    assert result.labels == NAMES


def test_macro_f1_is_the_mean_over_the_truths_present() -> None:
    truths = ["Walking"] * 4 + ["Sitting"] * 4
    labels = ["Walking", "Walking", "Walking", "Sitting", "Sitting", "Sitting", "Standing", "Standing"]
    result = score(truths, labels, NAMES)
    assert result.accuracy == pytest.approx(5 / 8)
    assert result.f1 == pytest.approx((2 * 3 / (4 + 3), 2 * 2 / (4 + 3)))  # Standing is never true, so it has no F1
    assert result.macro_f1 == pytest.approx((6 / 7 + 4 / 7) / 2)
    assert result.confusion.tolist() == [[3, 1, 0], [0, 2, 2]]


def test_a_truth_that_no_label_has_counts_as_wrong() -> None:
    result = score(["Dancing", "Walking"], ["Walking", "Walking"], NAMES)
    assert result.truths == ("Walking", "Dancing")
    assert result.accuracy == 0.5
    assert result.f1 == pytest.approx((2 / 3, 0.0))


def test_scores_equal_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is in the extra `train`")
    random = np.random.default_rng(1)
    truths, labels = (list(random.choice(NAMES, 200)) for _ in range(2))
    result = score(truths, labels)
    assert result.macro_f1 == pytest.approx(metrics.f1_score(truths, labels, average="macro"))
    assert result.accuracy == pytest.approx(metrics.accuracy_score(truths, labels))


def test_no_truths_and_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to score"):
        score([], [])
    with pytest.raises(ValueError, match="2 truths for 1 labels"):
        score(["a", "b"], ["a"])


def test_the_columns_of_the_table_are_aligned() -> None:
    lines = table(score(["Walking", "Sitting"], ["Walking", "Walking"], NAMES)).splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split() == ["Sitting", "1", "0", "0", "0.000"]
