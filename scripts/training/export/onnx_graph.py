"""ONNX nodes as they are written down: constants, operations, products with weights, in int8 where wanted. Knows no T5.

Some operations are ONNX Runtime's own (domain com.microsoft): one node where standard ONNX takes six.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Range = tuple[float, float]
OWN = "com.microsoft"
OPSET, IR_VERSION = 18, 9  # what ONNX Runtime 1.20 reads too
STEPS = 63  # of an int8 weight: 7 bits, for CPUs without VNNI add two products in 16 bits, which 8 bits overflow


class Graph:
    """Collects nodes. With `ranges`, the least and greatest input of each product in their order, products are int8.

    The ranges are fixed, not measured anew in each run: so a row doesn't depend on the others in its batch. With
    `watch`, the ranges are outputs of the graph behind the others, two scalars a product.
    """

    def __init__(self, ranges: Sequence[Range] | None = None, *, watch: bool = False) -> None:
        self._ranges, self._watch = ranges, watch
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._products: list[str] = []  # inputs of products, in order
        self._integers: dict[str, tuple[str, str, str]] = {}  # of an input: its uint8 values, scale and zero point

    def constant(self, value: object) -> str:
        """The name of an array; single precision unless it is of integers."""
        array = np.asarray(value, order="C")
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        name = f"c{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def shape(self, *sizes: int) -> str:
        """For Reshape: 0 keeps a size, -1 takes what is left."""
        return self.constant(np.array(sizes, dtype=np.int64))

    def op(self, kind: str, *inputs: str, domain: str = "", outputs: str = "1", **attributes: Any) -> list[str]:
        """Adds a node; gives the names of its outputs. `outputs` has a 1 for each that is wanted, a 0 for the rest."""
        at = len(self._nodes)
        names = [f"n{at}_{i}" if wanted == "1" else "" for i, wanted in enumerate(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, f"{kind}_{at}", domain=domain, **attributes))
        return [name for name in names if name]

    def one(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """As `op`, for a node with one output."""
        return self.op(kind, *inputs, domain=domain, **attributes)[0]

    def product(self, x: str, weight: NDArray[np.float32]) -> str:
        """`x` (…, I) @ `weight` (I, O)."""
        at = len(self._products)
        self._products.append(x)
        if self._ranges is None:
            return self.one("MatMul", x, self.constant(weight))
        scale = np.maximum(np.abs(weight).max(axis=0) / STEPS, 1e-12)
        steps = self.constant(np.round(weight / scale).astype(np.int8))
        values, of_values, zero = self._quantised(x, self._ranges[at])
        return self.one(
            "MatMulIntegerToFloat", values, steps, of_values, self.constant(scale), zero, domain=OWN
        )  # fmt: skip

    def model(
        self, inputs: Mapping[str, Sequence[str | int]], results: Mapping[str, tuple[str, int]]
    ) -> onnx.ModelProto:
        """The model with int64 `inputs` of the given shapes. `results` names its outputs (B, width): tensor, width."""
        outputs = []
        for name, (tensor, width) in results.items():
            self._nodes.append(helper.make_node("Identity", [tensor], [name], name))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", width]))
        for x in self._products if self._watch else ():
            for kind in ("ReduceMin", "ReduceMax"):
                name = self.one(kind, x, keepdims=0)
                outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
        given = [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n, shape in inputs.items()]
        graph = helper.make_graph(self._nodes, "hard", given, outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(OWN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="hard")

    def _quantised(self, x: str, span: Range) -> tuple[str, str, str]:
        """`x` as uint8 with its scale and zero point; made once for all products that it goes into."""
        if x not in self._integers:
            low, high = min(span[0], 0.0), max(span[1], 0.0)
            scale = max((high - low) / 255, 1e-12)
            zero = self.constant(np.array(round(-low / scale), dtype=np.uint8))
            step = self.constant(np.array(scale, dtype=np.float32))
            self._integers[x] = (self.one("QuantizeLinear", x, step, zero), step, zero)
        return self._integers[x]
