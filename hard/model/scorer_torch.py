"""Token ids → label log probabilities by transformers' own T5.

It scores any checkpoint folder, and tests compare the other backend with it. The only module of `hard` that imports
torch and transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import T5ForConditionalGeneration

from hard.model.labels import LabelTree
from hard.model.tokens import PAD_ID, Ids
from hard.records import Float32Array


class TorchScorer:
    """Runs the encoder once a prompt, and the decoder once for each branch of the label tree."""

    def __init__(self, path: Path, tree: LabelTree, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self._model: Any = T5ForConditionalGeneration.from_pretrained(path, dtype=torch.float32).eval()
        self._tree = tree

    def score(self, ids: Ids, mask: Ids) -> Float32Array:
        """Log probabilities (B, K) of the labels for `ids` and `mask` (B, L)."""
        with torch.inference_mode():
            scores = label_scores(self._model, self._tree, torch.from_numpy(ids), torch.from_numpy(mask))
        return np.asarray(scores.float().numpy())


def label_scores(model: Any, tree: LabelTree, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Log probabilities (B, K) of the labels in `tree` by a `T5ForConditionalGeneration`, for `ids` and `mask` (B, L).

    Training calls it too.
    """
    encoded = model.get_encoder()(input_ids=ids, attention_mask=mask)
    start = model.config.decoder_start_token_id if model.config.decoder_start_token_id is not None else PAD_ID
    steps = []
    for branch in tree.branches:
        decoder_ids = torch.tensor([[start, *branch.prefix]], device=ids.device).expand(len(ids), -1)
        logits = model(encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=decoder_ids).logits[:, -1]
        steps.append(torch.log_softmax(logits[:, list(branch.following)].float(), dim=-1))
    none = torch.zeros(len(ids), device=ids.device)
    return torch.stack([sum((steps[b][:, t] for b, t in path), none) for path in tree.paths], dim=1)
