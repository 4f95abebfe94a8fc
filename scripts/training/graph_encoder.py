"""A T5's encoder, written into a graph: token ids to rows (B, L, D). Knows no label.

With a fixed prompt length position bias is a constant and there is no mask. Where the vocabulary is small, what the
first layer makes of a token is looked up, not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.graph_layers import Array, Layers, array, matrix

MAX_TABLE = 1_000_000  # numbers in the tables of the first layer


def encode(layers: Layers, model: Any, length: int | None, padding: str | None) -> str:
    """The encoder's output (B, L, D) without the weight of its last norm. `padding` (B, L) is 0, or far below."""
    g, embedding = layers.graph, array(model.shared.weight)
    x, bias = g.one("Gather", g.constant(embedding), "ids"), _positions(layers, model, length, padding)
    y = ""
    for i, block in enumerate(model.encoder.block):
        own, scale = block.layer[0].SelfAttention, array(block.layer[0].layer_norm.weight)
        weights = [matrix(part, scale) for part in (own.q, own.k, own.v)]
        if i == 0 and sum(w.shape[1] for w in weights) * len(embedding) <= MAX_TABLE:
            q, k, v = _looked_up(layers, embedding, weights)
        else:
            q, k, v = layers.split(y or layers.norm(x), weights, g.product)
        x, y = layers.add_and_norm(x, g.product(layers.attend(q, k, v, bias), matrix(own.o)))
        x, y = layers.add_and_norm(x, layers.feed_forward(y, block.layer[1], g.product))
    return y


def _looked_up(layers: Layers, embedding: Array, weights: Sequence[Array]) -> list[str]:
    """(B, H, L, d) for each of `weights`: row h·V + id of a table."""
    g, size, heads, d = layers.graph, len(embedding), layers.heads, layers.d
    ids = g.one("Unsqueeze", "ids", g.shape(1))
    rows = g.one("Add", ids, g.constant(np.arange(heads).reshape(1, -1, 1) * size))
    tables = [(layers.normed(embedding) @ w).reshape(size, heads, d).swapaxes(0, 1) for w in weights]
    return [g.one("Gather", g.constant(table.reshape(-1, d)), rows) for table in tables]


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
