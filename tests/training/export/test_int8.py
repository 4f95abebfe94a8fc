"""int8 is compared with fp32 on the same examples, and served only where it loses little and gains enough."""

from pathlib import Path

import numpy as np
import pytest
from support.t5 import model_of, prompts
from training.data.examples import Examples
from training.export import export, int8

from hard.model import bundle
from hard.model.bundle import Int8
from hard.model.labels import label_tree
from hard.model.scorer_onnx import OnnxScorer

LABELS = ("a", "b", "c")


def test_the_cost_of_int8_is_measured_against_fp32(tmp_path: Path) -> None:
    model, tree = model_of("flan-t5", size=0.15), label_tree([[5, 1], [6, 1], [7, 1]], LABELS)
    ids = prompts(40, 30)
    examples = Examples(ids, np.ones_like(ids), np.arange(40) % 3, [[5, 1], [6, 1], [7, 1]])
    fp32 = tmp_path / bundle.GRAPHS["fp32"]
    export.export(model, tree, 30, fp32)
    int8.write(model, tree, 30, examples, tmp_path)
    exact, apart = export.compare(model, tree, fp32, examples)
    assert apart < 1e-4
    cost = int8.compare(tmp_path, LABELS, examples, exact)
    rough = OnnxScorer(tmp_path / bundle.GRAPHS["int8"]).score(ids, np.ones_like(ids)).labels
    assert cost.greatest_difference == pytest.approx(np.abs(np.exp(rough) - np.exp(exact)).max(), abs=1e-4)
    assert 0 < cost.greatest_difference < 0.2
    assert cost.speed > 0


@pytest.mark.parametrize(
    ("lost", "speed", "served"), [(0.0019, 1.5, True), (0.003, 3.0, False), (0.0, 1.4, False), (-0.01, 2.0, True)]
)
def test_int8_is_served_where_it_loses_little_and_gains_enough(lost: float, speed: float, served: bool) -> None:
    cost = Int8(macro_f1=0.5 - lost, macro_f1_fp32=0.5, greatest_difference=0.05, speed=speed)
    assert int8.is_served(cost) is served
