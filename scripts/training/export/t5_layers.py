"""The layers of a T5 that its encoder and its decoder share, written into a graph. Knows no prompt and no label.

A norm's weight lies in the matrix behind it. (B, L, D) are rows of the model's width, H heads have d numbers each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from training.export.onnx_graph import OWN, Graph

MASKED = -1e9  # added to an attention score that must not count
Array = NDArray[np.float32]
Product = Callable[[str, Array], str]


def array(tensor: Tensor) -> Array:
    """A model's tensor in single precision."""
    return np.asarray(tensor.detach().float().numpy())


def matrix(linear: Any, scale: Array | None = None) -> Array:
    """A linear layer as the right factor (in, out), with the weight of the norm before it."""
    weight = array(linear.weight)
    return np.ascontiguousarray((weight if scale is None else weight * scale).T)


class Layers:
    """Writes them into `graph`, in the sizes and the activation of `config`."""

    def __init__(self, graph: Graph, config: Any) -> None:
        self.graph, self.width, self.heads, self.d = graph, config.d_model, config.num_heads, config.d_kv
        self._activation, self._eps = config.dense_act_fn, config.layer_norm_epsilon
        self._unit = graph.constant(np.ones(self.width))

    def norm(self, x: str) -> str:
        """Root mean square norm."""
        return self.graph.one("SimplifiedLayerNormalization", x, self._unit, axis=-1, epsilon=self._eps)

    def normed(self, x: Array) -> Array:
        """The same of what is known beforehand."""
        return np.asarray(x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + self._eps))

    def add_and_norm(self, x: str, y: str) -> tuple[str, str]:
        """The sum, and its norm."""
        normed, total = self.graph.op(
            "SkipSimplifiedLayerNormalization", x, y, self._unit, domain=OWN, outputs="1001", epsilon=self._eps
        )
        return total, normed

    def split(self, y: str, weights: Sequence[Array], product: Product) -> list[str]:
        """`y` (B, L, D) through `weights`, by one product: each (B, H, L, d)."""
        g = self.graph
        whole = product(y, np.concatenate(weights, axis=1))
        whole = g.one("Reshape", whole, g.shape(0, 0, len(weights) * self.heads, self.d))
        whole = g.one("Transpose", whole, perm=[0, 2, 1, 3])
        return g.op("Split", whole, outputs="1" * len(weights), axis=1, num_outputs=len(weights))

    def attend(self, q: str, k: str, v: str, bias: str) -> str:
        """(B, H, L, d) three times → (B, L, H·d); `bias` is position and mask together."""
        g = self.graph
        scores = g.one("Add", g.one("FusedMatMul", q, k, domain=OWN, transB=1), bias)
        taken = g.one("MatMul", g.one("Softmax", scores, axis=-1), v)
        return g.one("Reshape", g.one("Transpose", taken, perm=[0, 2, 1, 3]), g.shape(0, 0, self.heads * self.d))

    def feed_forward(self, y: str, layer: Any, product: Product) -> str:
        """Plain or gated."""
        dense, scale = layer.DenseReluDense, array(layer.layer_norm.weight)
        if not hasattr(dense, "wi_0"):
            return product(self._active(product(y, matrix(dense.wi, scale))), matrix(dense.wo))
        inner = self._active(product(y, matrix(dense.wi_0, scale)))
        return product(self.graph.one("Mul", inner, product(y, matrix(dense.wi_1, scale))), matrix(dense.wo))

    def _active(self, x: str) -> str:
        g, kind = self.graph, self._activation
        if kind == "relu":
            return g.one("Relu", x)
        if kind == "gelu_new":
            return g.one("FastGelu", x, domain=OWN)
        if kind == "gelu":
            return g.one("Gelu", x, domain=OWN)
        if kind == "silu":
            return g.one("Mul", x, g.one("Sigmoid", x))
        raise ValueError(f"scripts/training/export/t5_layers.py does not know the activation {kind!r} of this model")
