"""The split is by subject, whatever the seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.data import split
from training.data.loading import Labelled
from training.errors import RefusedError

SUBJECTS = [str(i) for i in range(1, 19)]


@given(
    holdout=st.sets(st.sampled_from(SUBJECTS), max_size=10),
    validation=st.none() | st.integers(1, 7),
    seed=st.integers(0, 1000),
)
def test_no_subject_is_in_two_parts_and_none_is_lost(holdout: set[str], validation: int | None, seed: int) -> None:
    parts = split.by_subject(SUBJECTS, sorted(holdout), validation, seed)
    together = [*parts.train, *parts.validation, *parts.test]
    assert sorted(together) == sorted(SUBJECTS)
    assert set(parts.test) == holdout
    assert len(parts.validation) == (validation or max(1, round(0.15 * (18 - len(holdout)))))
    assert parts == split.by_subject(SUBJECTS, sorted(holdout), validation, seed)


def test_a_stranger_cannot_be_held_out() -> None:
    with pytest.raises(RefusedError, match="'99' of --holdout is not in the data"):
        split.by_subject(SUBJECTS, ["99"], None, 0)


def test_someone_must_be_left_to_learn_from() -> None:
    with pytest.raises(RefusedError, match="too few"):
        split.by_subject(["1", "2"], ["1"], None, 0)


def test_a_class_that_nobody_shows_in_training_is_refused() -> None:
    labelled = Labelled((None,) * 3, np.array(["Walking", "Walking", "Sitting"]), np.array(["1", "2", "2"]))  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="no window of 'Sitting' to train on"):
        split.check_classes(labelled, split.Split(("1",), ("2",), ()), ("Walking", "Sitting"))
