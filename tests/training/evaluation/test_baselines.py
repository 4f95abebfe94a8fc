"""Baselines learn what is easy, the CNN too; the majority is the majority."""

import numpy as np
import pytest
import torch
from training.evaluation import baselines
from training.evaluation.baselines import Part, Rules


@pytest.fixture
def lessons() -> list[Part]:
    """Still, or waving: all but the majority can tell them apart, in three lots."""
    rng = np.random.default_rng(0)
    made = []
    for count in (160, 60, 80):
        waving = rng.random(count) < 0.4
        wave = np.sin(np.arange(40) * rng.uniform(0.5, 1, (count, 1))) * 3 * waving[:, None]
        xyz = rng.normal(0, 0.3, (count, 40, 3)) + wave[..., None] + [0, 0, 9.8]
        made.append(Part(xyz.astype(np.float32), xyz.std(axis=1), np.where(waving, "Waving", "Still")))
    return made


def test_what_each_baseline_reaches(lessons: list[Part]) -> None:
    torch.set_num_threads(1)
    told: list[str] = []
    said = baselines.predict(*lessons, Rules(epochs=8, patience=4, seed=0), told.append)
    truth = lessons[2].truth
    assert [len(runs) for runs in said.values()] == [1, 1, 1, 3]
    assert set(said[baselines.MAJORITY][0].tolist()) == {"Still"}
    for name in (baselines.MEANS, baselines.BOOSTING, baselines.CNN):
        assert all((labels == truth).mean() > 0.95 for labels in said[name]), name
    assert len(told) == 3


def test_the_same_seed_gives_the_same_cnn(lessons: list[Part]) -> None:
    rules = Rules(epochs=1, patience=1, seed=3)
    first, second = (baselines._cnn(*lessons, rules, seed=3) for _ in range(2))
    assert (first == second).all()


def test_the_cnn_leaves_torch_s_own_randomness_alone(lessons: list[Part]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    baselines._cnn(*lessons, Rules(epochs=1, patience=1, seed=0), seed=0)
    assert torch.equal(torch.rand(3), expected)
