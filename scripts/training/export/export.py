"""A T5 and a label tree → `model.onnx`: token ids to label log probabilities as one static graph. Knows no text.

The forward is written by hand after transformers' T5 (Raffel 2020), so that what is known beforehand becomes constant:
t5_encoder.py and t5_decoder.py say what. Norm weights lie in the matrices behind them, and of the output matrix
only those rows are kept that a label's token can take.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from hard.model.labels import LabelTree
from hard.model.scorer_onnx import OnnxScorer
from hard.model.scorer_torch import label_scores
from hard.model.tokens import Ids
from hard.records import Float32Array
from training.data.examples import Examples
from training.export.onnx_graph import Graph, Range
from training.export.t5_decoder import T5Decoder
from training.export.t5_encoder import encode, pool
from training.export.t5_layers import MASKED, Layers

ROWS = 64  # examples at a time where ranges are measured
OUTPUTS = 2  # of the graph: scores, pooled


def export(model: Any, tree: LabelTree, length: int | None, path: Path, ranges: Sequence[Range] | None = None) -> None:
    """Writes the graph of `model` to `path`: `ids` (B, L) int64 and, where prompts differ in length, `mask` (B, L) →
    `scores` (B, K) and `pooled` (B, D), the mean of the encoder's output over a prompt's tokens.

    With `length` every prompt has so many tokens. With `ranges`, as `input_ranges` gives them, its products are int8.
    """
    onnx.save(_written(model, tree, length, Graph(ranges)), path)


def input_ranges(model: Any, tree: LabelTree, length: int | None, ids: Ids, mask: Ids) -> list[Range]:
    """The least and greatest input of each product over prompts `ids` and `mask` (N, L), for `export` in int8."""
    watched = _written(model, tree, length, Graph(watch=True)).SerializeToString()
    session = onnxruntime.InferenceSession(watched, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    found = []
    for i in range(0, len(ids), ROWS):
        feed = {"ids": ids[i : i + ROWS], "mask": mask[i : i + ROWS]}
        found.append(session.run(None, {name: feed[name] for name in names})[OUTPUTS:])
    ends = np.array(found, dtype=np.float64)
    return list(zip(ends[:, 0::2].min(axis=0).tolist(), ends[:, 1::2].max(axis=0).tolist(), strict=True))


def compare(
    model: Any, tree: LabelTree, path: Path, examples: Examples, batch: int = 256
) -> tuple[Float32Array, float]:
    """Scores (N, K) of `examples` by the graph at `path`, and their greatest distance from transformers' own.

    Log probabilities beyond -1 count relative to their size: single precision has no more digits.
    """
    graph = OnnxScorer(path)
    parts, apart = [], 0.0
    for i in range(0, len(examples), batch):
        ids, mask = examples.ids[i : i + batch], examples.mask[i : i + batch]
        with torch.inference_mode():
            own = label_scores(model, tree, torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        parts.append(graph.score(ids, mask).labels)
        apart = max(apart, float((np.abs(own - parts[-1]) / np.maximum(1, np.abs(own))).max()))
    return np.concatenate(parts), apart


def _written(model: Any, tree: LabelTree, length: int | None, graph: Graph) -> onnx.ModelProto:
    model = model.cpu().float().eval()
    real = padding = None
    if length is None:
        real = graph.one("Cast", "mask", to=onnx.TensorProto.FLOAT)
        missing = graph.one("Sub", graph.constant(np.float32(1)), real)
        padding = graph.one("Mul", missing, graph.constant(np.float32(MASKED)))
    layers = Layers(graph, model.config)
    encoded = encode(layers, model, length, padding)
    scores = T5Decoder(layers, model, tree, padding).decode(encoded)
    results = {"scores": (scores, len(tree.paths)), "pooled": (pool(layers, model, encoded, real), layers.width)}
    inputs = ("ids",) if padding is None else ("ids", "mask")
    return graph.model(dict.fromkeys(inputs, ("B", length or "L")), results)
