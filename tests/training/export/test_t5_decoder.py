"""The decoder over the label tree gives each label its log probability, from the encoder's own rows."""

import numpy as np
import onnxruntime
import torch
from support.t5 import model_of, prompts
from training.export.onnx_graph import Graph
from training.export.t5_decoder import T5Decoder
from training.export.t5_encoder import encode
from training.export.t5_layers import Layers

from hard.model.labels import label_tree
from hard.model.scorer_torch import label_scores


def test_a_label_s_score_is_the_sum_of_its_tokens_log_probabilities() -> None:
    model, tree = model_of("t5"), label_tree([[5, 8, 1], [5, 9, 1], [7, 1]], ["a", "b", "c"])
    graph = Graph()
    layers = Layers(graph, model.config)
    scores = T5Decoder(layers, model, tree, None).decode(encode(layers, model, 10, None))
    made = graph.model({"ids": ("B", 10)}, {"scores": (scores, 3)})
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = prompts(4, 10)
    expected = label_scores(model, tree, torch.from_numpy(ids), torch.ones(4, 10, dtype=torch.int64)).detach().numpy()
    np.testing.assert_allclose(session.run(None, {"ids": ids})[0], expected, atol=1e-4)
