"""The compiled scorer also in int8, compared with fp32 on people whom the weights have not seen. Trains nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from hard.model import bundle
from hard.model.bundle import Int8
from hard.model.labels import LabelTree
from hard.model.scorer_onnx import OnnxScorer
from hard.recordings.scores import score
from hard.records import Float32Array
from training.data.examples import Examples
from training.export import export
from training.results import confidence

MOST_LOST = 0.002  # macro-F1
LEAST_GAIN = 1.5  # windows a second over those of fp32: below, exact agreement of the backends counts for more
MEASURED = 2048  # training examples that the ranges are taken from
ROUNDS, BATCH = 9, 32  # of the timing


def write(model: Any, tree: LabelTree, length: int | None, learnt: Examples, folder: Path) -> None:
    """Writes the int8 graph into `folder`, with the ranges that examples of the training have."""
    rows = np.linspace(0, len(learnt) - 1, min(len(learnt), MEASURED)).astype(int)
    ranges = export.input_ranges(model, tree, length, learnt.ids[rows], learnt.mask[rows])
    export.export(model, tree, length, folder / bundle.GRAPHS["int8"], ranges)


def compare(folder: Path, labels: tuple[str, ...], shown: Examples, exact: Float32Array) -> Int8:
    """What int8 costs and gains on the `shown` examples, whose scores by fp32 are `exact` (N, K)."""
    graphs = [OnnxScorer(folder / bundle.GRAPHS[precision]) for precision in ("fp32", "int8")]
    rough = np.concatenate(
        [graphs[1].score(shown.ids[i : i + 256], shown.mask[i : i + 256]).labels for i in range(0, len(shown), 256)]
    )
    truth = [labels[k] for k in shown.label]
    given = [[labels[k] for k in scores.argmax(axis=1)] for scores in (exact, rough)]
    apart = np.abs(confidence.probabilities(rough, 1.0) - confidence.probabilities(exact, 1.0))
    return Int8(
        macro_f1=round(score(truth, given[1], labels).macro_f1, 4),
        macro_f1_fp32=round(score(truth, given[0], labels).macro_f1, 4),
        greatest_difference=round(float(apart.max()), 4),
        speed=_speed(graphs[0], graphs[1], shown),
    )


def is_served(cost: Int8) -> bool:
    """Whether int8 is served by default: it costs at most MOST_LOST and gains at least LEAST_GAIN."""
    return cost.macro_f1_fp32 - cost.macro_f1 <= MOST_LOST and cost.speed >= LEAST_GAIN


def _speed(exact: OnnxScorer, rough: OnnxScorer, shown: Examples) -> float:
    """CPU time of a batch in fp32 over that in int8: the median of rounds that take turns."""
    ids, mask = shown.ids[:BATCH], shown.mask[:BATCH]
    ratios = []
    for _ in range(ROUNDS):
        spent = []
        for scorer in (exact, rough):
            begun = time.process_time()
            scorer.score(ids, mask)
            spent.append(time.process_time() - begun)
        ratios.append(spent[0] / max(spent[1], 1e-9))
    return round(float(np.median(ratios)), 2)
