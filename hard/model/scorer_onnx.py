"""Token ids → label log probabilities by the bundle's compiled graph, on ONNX Runtime. Knows no text and no labels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from hard.model.tokens import Ids
from hard.records import Float32Array

PART = 16  # windows at a time: what lies between two nodes of the graph then stays in the processor's cache
SMALLEST = 4  # part for which a thread is worth its start


class OnnxScorer:
    """Runs `model.onnx`. Its inputs are `ids`, and `mask` where prompts differ in length.

    A large batch goes by parts, `threads` of them side by side: one thread a part is faster than several on one.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._masked = any(i.name == "mask" for i in self._session.get_inputs())

    def score(self, ids: Ids, mask: Ids) -> Float32Array:
        """Log probabilities (B, K) of the labels for `ids` and `mask` (B, L)."""
        size = min(PART, max(SMALLEST, -(-len(ids) // self._threads)))
        if len(ids) <= size:
            return self._run(ids, mask)
        parts = [slice(i, i + size) for i in range(0, len(ids), size)]
        if self._threads == 1:
            return np.concatenate([self._run(ids[part], mask[part]) for part in parts])
        with ThreadPoolExecutor(min(self._threads, len(parts))) as pool:
            return np.concatenate(list(pool.map(lambda part: self._run(ids[part], mask[part]), parts)))

    def _run(self, ids: Ids, mask: Ids) -> Float32Array:
        feed = {"ids": ids, "mask": mask} if self._masked else {"ids": ids}
        return np.asarray(self._session.run(None, feed)[0])
