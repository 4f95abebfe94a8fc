"""A T5's encoder, written into a graph: token ids to rows (B, L, D), and to their mean. Knows no label.

With a fixed prompt length position bias is a constant and there is no mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training.export.t5_layers import Layers, array, matrix


def encode(layers: Layers, model: Any, length: int | None, padding: str | None) -> str:
    """The encoder's output (B, L, D) without the weight of its last norm. `padding` (B, L) is 0, or far below."""
    g, bias = layers.graph, _positions(layers, model, length, padding)
    x = g.one("Gather", g.constant(array(model.shared.weight)), "ids")
    y = layers.norm(x)
    for block in model.encoder.block:
        own, scale = block.layer[0].SelfAttention, array(block.layer[0].layer_norm.weight)
        weights = [matrix(part, scale) for part in (own.q, own.k, own.v)]
        q, k, v = layers.split(y, weights, g.product)
        x, y = layers.add_and_norm(x, g.product(layers.attend(q, k, v, bias), matrix(own.o)))
        x, y = layers.add_and_norm(x, layers.feed_forward(y, block.layer[1], g.product))
    return y


def pool(layers: Layers, model: Any, encoded: str, real: str | None) -> str:
    """The mean (B, D) of the encoder's output over a prompt's tokens: of those where `real` (B, L) is 1, or of all. The
    weight of the last norm, which `encode` leaves out, is in it."""
    g, over_tokens = layers.graph, layers.graph.shape(1)
    weight = g.constant(array(model.encoder.final_layer_norm.weight))
    if real is None:
        return g.one("Mul", g.one("ReduceMean", encoded, over_tokens, keepdims=0), weight)
    counted = g.one("Mul", encoded, g.one("Unsqueeze", real, g.shape(2)))
    total = g.one("ReduceSum", counted, over_tokens, keepdims=0)
    return g.one("Mul", g.one("Div", total, g.one("ReduceSum", real, over_tokens, keepdims=1)), weight)


def _positions(layers: Layers, model: Any, length: int | None, padding: str | None) -> str:
    """Position bias, with the mask where there is one: (1, H, L, L) or (B, H, L, L)."""
    g, own = layers.graph, model.encoder.block[0].layer[0].SelfAttention
    if length is not None:
        return g.constant(array(own.compute_bias(length, length)))
    assert padding is not None
    most = model.config.relative_attention_max_distance  # beyond it the bias stays the same
    by_distance = array(own.compute_bias(2 * most + 1, 2 * most + 1))[0, :, most].T  # (2·most + 1, H)
    nought, one, far = (g.constant(np.array(n)) for n in (0, 1, most))
    at = g.one("Range", nought, g.one("Gather", g.one("Shape", "ids"), one), one)
    apart = g.one("Sub", g.one("Unsqueeze", at, g.shape(0)), g.one("Unsqueeze", at, g.shape(1)))
    apart = g.one("Add", g.one("Clip", apart, g.constant(np.array(-most)), far), far)
    bias = g.one("Transpose", g.one("Gather", g.constant(by_distance), apart), perm=[2, 0, 1])
    return g.one("Add", bias, g.one("Unsqueeze", padding, g.shape(1, 2)))
