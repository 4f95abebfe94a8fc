"""The layers that encoder and decoder share compute what transformers' layers compute."""

import numpy as np
import onnxruntime
import torch
from support.t5 import model_of
from training.export.onnx_graph import Graph
from training.export.t5_layers import Layers, array, matrix


def test_a_linear_layer_takes_the_norm_s_weight_into_its_matrix() -> None:
    linear, scale = torch.nn.Linear(3, 2, bias=False), np.array([1, 2, 3], np.float32)
    x = np.array([[1, -1, 0.5]], np.float32)
    expected = linear(torch.from_numpy(x * scale)).detach().numpy()
    np.testing.assert_allclose(x @ matrix(linear, scale), expected, rtol=1e-5)
    assert array(linear.weight).dtype == np.float32


def test_the_feed_forward_layer_agrees_plain_and_gated() -> None:
    for kind in ("t5", "flan-t5"):
        model = model_of(kind)
        layer, graph = model.encoder.block[0].layer[1], Graph()
        layers = Layers(graph, model.config)
        x = graph.one("Gather", graph.constant(array(model.shared.weight)), "ids")
        made = layers.feed_forward(layers.norm(x), layer, graph.product)
        session = onnxruntime.InferenceSession(
            graph.model({"ids": (1, 4)}, {"made": (made, 32)}).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        ids = np.array([[3, 5, 7, 1]])
        rows = model.shared.weight[torch.from_numpy(ids)]
        expected = (layer(rows) - rows).detach().numpy()
        np.testing.assert_allclose(session.run(None, {"ids": ids})[0], expected, atol=1e-4)


def test_a_norm_of_known_rows_is_that_of_the_graph() -> None:
    model = model_of("t5")
    rows = array(model.shared.weight)
    norm = model.encoder.final_layer_norm
    with torch.no_grad():
        norm.weight.fill_(1.0)
        expected = norm(model.shared.weight).numpy()
    np.testing.assert_allclose(Layers(Graph(), model.config).normed(rows), expected, rtol=1e-5)
