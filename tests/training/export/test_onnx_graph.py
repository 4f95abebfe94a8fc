"""Nodes as they are written down run in ONNX Runtime; int8 products are near those in fp32."""

import numpy as np
import onnxruntime
import pytest
from training.export.onnx_graph import Graph, Range


def product(ranges: list[Range] | None, *, watch: bool = False) -> list[np.ndarray]:
    """Rows of ids 0 to 3 as one-hot rows, through a fixed matrix (4, 3)."""
    graph = Graph(ranges, watch=watch)
    rows = graph.one("Gather", graph.constant(np.eye(4)), "ids")
    made = graph.product(rows, np.arange(12, dtype=np.float32).reshape(4, 3) / 7)
    model = graph.model({"ids": ("B",)}, {"scores": (made, 3)})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"ids": np.array([2, 0])})


def test_a_product_in_fp32_is_the_matrix_product() -> None:
    np.testing.assert_allclose(product(None)[0], np.array([[6, 7, 8], [0, 1, 2]]) / 7, rtol=1e-6)


def test_a_product_in_int8_is_near() -> None:
    np.testing.assert_allclose(product([(0.0, 1.0)])[0], product(None)[0], atol=0.02)


def test_a_watched_graph_gives_the_range_of_each_input() -> None:
    _, least, greatest = product(None, watch=True)
    assert (least, greatest) == (0, 1)


def test_only_the_outputs_that_are_wanted_get_names() -> None:
    graph = Graph()
    assert len(graph.op("Split", graph.constant(np.ones(4)), outputs="11", axis=0, num_outputs=2)) == 2
    assert (
        len(graph.op("LayerNormalization", graph.constant(np.ones(4)), graph.constant(np.ones(4)), outputs="100")) == 1
    )
    with pytest.raises(IndexError):
        graph.op("Identity", graph.constant(1.0), outputs="0")[0]
