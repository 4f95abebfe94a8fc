"""Training examples: features under a mounting, and words dropped afresh each epoch."""

from typing import Any

import numpy as np
from training.data.examples import OTHERS, UNKNOWN_ID, DrawnExamples, Examples, draw, features_of

from hard.motion.features import Known


def test_word_dropout_is_fresh_each_epoch_the_same_when_resumed_and_spares_the_end() -> None:
    ids = np.full((50, 9), 7, dtype=np.int64)
    ids[:, -1] = 1

    def inputs(epoch: int, rows: range) -> Any:
        plain = Examples(ids, np.ones_like(ids), np.zeros(50, np.int64), [[5, 1]])
        examples = DrawnExamples(plain, np.ones(50), 50, word_dropout=0.3)
        examples.set_epoch(epoch)
        return np.array([e["input_ids"] for e in examples.__getitems__(rows)])

    first, second = inputs(0, range(50)), inputs(1, range(50))
    assert (first[:, -1] == 1).all()
    assert 0.15 < (first == UNKNOWN_ID).mean() < 0.4
    assert (first != second).any()
    assert (inputs(1, range(30, 50)) == second[30:]).all()


def test_padding_is_cut_off_each_example() -> None:
    ids, mask = np.array([[7, 8, 1], [9, 1, 0]]), np.array([[1, 1, 1], [1, 1, 0]])
    examples = Examples(ids, mask, np.array([0, 1]), [[5, 1], [6, 1]])
    assert examples[1] == {"input_ids": [9, 1], "attention_mask": [1, 1], "labels": [6, 1]}
    assert (len(examples), examples.longest) == (2, 3)


def test_features_of_many_windows_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    xyz = rng.normal([0, 9.8, 0], 1, (2100, 80, 3)).astype(np.float32)  # more than one part
    up, forward = np.tile(np.float32([0, 1, 0]), (2100, 1)), np.tile(np.float32([0, 0, 1]), (2100, 1))
    known = Known(up, forward, np.ones(2100, bool), xyz)
    found = features_of(xyz, known, 20.0, ("v.std", "v.mean"))
    assert found.shape == (2100, 2)
    rows = np.array([0, 2099])
    np.testing.assert_allclose(
        features_of(xyz[rows], known.at(rows), 20.0, ("v.std", "v.mean")), found[rows], rtol=1e-5
    )


def test_rows_are_drawn_by_weight_afresh_each_epoch_and_the_same_when_resumed() -> None:
    ids = np.arange(20, dtype=np.int64).reshape(10, 2)
    examples = Examples(ids, np.ones_like(ids), np.arange(10) % 2, [[5, 1], [6, 1]])
    weights = np.array([4.0, 2.0] + [0.25] * 8)

    def drawn(epoch: int) -> Any:
        shown = DrawnExamples(examples, weights, 40, seed=3)
        shown.set_epoch(epoch)
        assert [example["input_ids"] for example in shown.__getitems__(range(40))] == ids[shown.rows].tolist()
        assert shown.label.tolist() == (shown.rows % 2).tolist()
        return shown.rows

    counts = np.bincount(drawn(0), minlength=10)
    assert counts.sum() == 40
    assert (np.abs(counts - 40 * weights / weights.sum()) < 1).all()
    assert (drawn(1) != drawn(0)).any()
    assert (drawn(1) == drawn(1)).all()


def test_rows_of_one_weight_are_each_drawn_once() -> None:
    assert draw(np.full(500, 0.3), 500, np.random.default_rng(1)).tolist() == list(range(500))


def test_an_example_of_one_of_several_labels_has_the_tokens_of_all() -> None:
    ids = np.array([[7, 1], [7, 1]])
    examples = Examples(ids, np.ones_like(ids), np.array([0, 2]), [[5, 1], [6, 1]], either=[[0, 1]])
    one, several = examples[0], examples[1]
    assert OTHERS not in one
    assert (several["labels"], several[OTHERS]) == ([5, 1], [[6, 1]])
