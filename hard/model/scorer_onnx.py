"""Token ids → label log probabilities by the bundle's compiled graph, on ONNX Runtime. Knows no text and no labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from hard.model.tokens import Ids
from hard.records import Singles


class OnnxScorer:
    """Runs `model.onnx`. Its inputs are `ids`, and `mask` where prompts differ in length."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A spinning thread would burn a gateway's core between batches.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._masked = any(i.name == "mask" for i in self._session.get_inputs())

    def score(self, ids: Ids, mask: Ids) -> Singles:
        """Log probabilities (B, K) of the labels for `ids` and `mask` (B, L)."""
        feed = {"ids": ids, "mask": mask} if self._masked else {"ids": ids}
        return np.asarray(self._session.run(None, feed)[0])
