"""The encoder that is written into a graph is transformers' encoder, with a fixed prompt length and without."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from support.t5 import model_of, prompts
from training.export.onnx_graph import Graph
from training.export.t5_encoder import encode
from training.export.t5_layers import MASKED, Layers


@pytest.mark.parametrize("length", [12, None])
def test_its_rows_are_those_of_transformers_before_the_last_norm_s_weight(length: int | None) -> None:
    model, graph, padding = model_of("flan-t5"), Graph(), None
    if length is None:
        real = graph.one("Cast", "mask", to=onnx.TensorProto.FLOAT)
        missing = graph.one("Sub", graph.constant(np.float32(1)), real)
        padding = graph.one("Mul", missing, graph.constant(np.float32(MASKED)))
    rows = encode(Layers(graph, model.config), model, length, padding)
    inputs = ("ids",) if length else ("ids", "mask")
    made = graph.model(dict.fromkeys(inputs, ("B", "L")), {"rows": (rows, model.config.d_model)})
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = prompts(3, 12)
    mask = np.ones_like(ids)
    if length is None:
        mask[0, 8:] = 0
    feed = {"ids": ids, "mask": mask}
    found = session.run(None, {name: feed[name] for name in inputs})[0]
    with torch.no_grad():
        model.encoder.final_layer_norm.weight.fill_(1.0)
        expected = model.encoder(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state.numpy()
    np.testing.assert_allclose(found[mask == 1], expected[mask == 1], atol=1e-3)
