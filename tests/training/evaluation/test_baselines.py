"""Baselines learn what is easy, the CNN too; the majority is the majority."""

import numpy as np
import pytest
import torch
from training.evaluation import baselines
from training.evaluation.baselines import Part, Rules


@pytest.fixture
def lessons() -> list[Part]:
    """Windows that are still or waving, which all but the majority baseline can distinguish; in three parts."""
    rng = np.random.default_rng(0)
    made = []
    for count in (160, 60, 80):
        waving = rng.random(count) < 0.4
        wave = np.sin(np.arange(40) * rng.uniform(0.5, 1, (count, 1))) * 3 * waving[:, None]
        xyz = rng.normal(0, 0.3, (count, 40, 3)) + wave[..., None] + [0, 0, 9.8]
        truth = np.where(waving, "Waving", "Still")
        made.append(Part(xyz.astype(np.float32), xyz.std(axis=1), truth, np.where(waving, 1.5, 1.0)))
    return made


def test_what_each_baseline_reaches(lessons: list[Part]) -> None:
    torch.set_num_threads(1)
    done: list[str] = []
    predictions = baselines.predict(*lessons, Rules(epochs=8, patience=4, seed=0), done.append)
    truth = lessons[2].truth
    assert [len(runs) for runs in predictions.values()] == [1, 1, 1, 1]
    assert set(predictions[baselines.MAJORITY][0].tolist()) == {"Still"}
    for name in (baselines.MEANS, baselines.BOOSTING, baselines.CNN):
        assert all((labels == truth).mean() > 0.95 for labels in predictions[name]), name
    assert done == [baselines.MEANS, baselines.BOOSTING, baselines.CNN]


def test_the_same_seed_gives_the_same_cnn_and_leaves_torch_s_own_randomness_alone(lessons: list[Part]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (baselines.predict(*lessons, Rules(epochs=1, patience=1, seed=3))[baselines.CNN] for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    for labels, again in zip(first, second, strict=True):
        assert (labels == again).all()


def test_macro_f1_is_the_mean_over_seeds() -> None:
    truth = ["Still", "Waving"]
    assert baselines.mean_macro_f1(truth, [np.array(truth), np.array(["Still", "Still"])]) == pytest.approx(2 / 3)
