"""Describes the machine, and measures its peak: the rate of one large matrix product."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from hard import __version__

PACKAGES = ("numpy", "onnxruntime", "torch", "transformers", "ctranslate2", "paho-mqtt", "msgspec")
SIDE = 1536
MIN_S = 0.1


def description() -> dict[str, Any]:
    """Processor, cores, memory, versions and load average."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "hard": __version__,
        "versions": {name: _version(name) for name in PACKAGES},
        "load": round(os.getloadavg()[0], 2),
    }


def matmul_gflops(precision: str, threads: int) -> float:
    """10⁹ operations a second of a product of SIDE × SIDE matrices by ONNX Runtime."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(SIDE, SIDE)).astype(np.float32) for _ in range(2))
    feed: dict[str, Any]
    if precision == "fp32":
        feed, kinds = {"a": a, "b": b}, (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.FLOAT)
    else:
        feed = {"a": rng.integers(0, 255, a.shape, dtype=np.uint8), "b": rng.integers(-63, 63, b.shape, dtype=np.int8)}
        kinds = (TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32)
    node = helper.make_node("MatMul" if precision == "fp32" else "MatMulInteger", ["a", "b"], ["c"])
    infos = [helper.make_tensor_value_info(name, kind, [SIDE, SIDE]) for name, kind in zip("abc", kinds, strict=True)]
    constant = onnx.numpy_helper.from_array(feed.pop("b"), "b")
    graph = helper.make_graph([node], "peak", infos[:1], infos[2:], [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, feed)
    begun, calls = time.perf_counter(), 0
    while time.perf_counter() - begun < MIN_S:
        session.run(None, feed)
        calls += 1
    return 2 * SIDE**3 * calls / (time.perf_counter() - begun) / 1e9


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
