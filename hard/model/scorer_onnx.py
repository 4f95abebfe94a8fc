"""Token ids → label log probabilities and pooled encoder output, by the bundle's compiled graph on ONNX Runtime. Knows
no text and no labels."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from hard.model.labels import Scores
from hard.model.tokens import Ids

CHUNK_WINDOWS = 16  # scored at a time: the results between two nodes of the graph then stay in the processor's cache
MIN_CHUNK_WINDOWS = 4  # for fewer, starting a thread costs more than it gains


class OnnxScorer:
    """Runs `model.onnx`. Its inputs are `ids`, and `mask` where prompts differ in length.

    A large batch is scored in chunks, `threads` of them at once: one thread a chunk is faster than several on one.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._masked = any(i.name == "mask" for i in self._session.get_inputs())

    def score(self, ids: Ids, mask: Ids) -> Scores:
        """The scores of the labels for `ids` and `mask` (B, L), and the pooled encoder output."""
        size = min(CHUNK_WINDOWS, max(MIN_CHUNK_WINDOWS, -(-len(ids) // self._threads)))
        if len(ids) <= size:
            return self._run(ids, mask)
        chunks = [slice(i, i + size) for i in range(0, len(ids), size)]
        if self._threads == 1:
            return _joined([self._run(ids[chunk], mask[chunk]) for chunk in chunks])
        with ThreadPoolExecutor(min(self._threads, len(chunks))) as pool:
            return _joined(list(pool.map(lambda chunk: self._run(ids[chunk], mask[chunk]), chunks)))

    def _run(self, ids: Ids, mask: Ids) -> Scores:
        feed = {"ids": ids, "mask": mask} if self._masked else {"ids": ids}
        labels, *rest = self._session.run(None, feed)
        return Scores(labels, rest[0] if rest else None)


def _joined(parts: Sequence[Scores]) -> Scores:
    labels, pooled = zip(*parts, strict=True)
    return Scores(np.concatenate(labels), None if pooled[0] is None else np.concatenate(pooled))
