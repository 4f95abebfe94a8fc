"""Token ids → label log probabilities and pooled encoder output by transformers' own T5.

It scores any checkpoint folder, and tests compare the other backend with it. The only module of `hard` that imports
torch and transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import T5ForConditionalGeneration

from hard.model.labels import LabelTree, Scores
from hard.model.tokens import PAD_ID, Ids


class TorchScorer:
    """Runs the encoder once a prompt, and the decoder once for each branch of the label tree."""

    def __init__(self, path: Path, tree: LabelTree, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self._model: Any = T5ForConditionalGeneration.from_pretrained(path, dtype=torch.float32).eval()
        self._tree = tree

    def score(self, ids: Ids, mask: Ids) -> Scores:
        """The scores of the labels for `ids` and `mask` (B, L), and the pooled encoder output."""
        with torch.inference_mode():
            given = torch.from_numpy(ids), torch.from_numpy(mask)
            encoded = self._model.get_encoder()(input_ids=given[0], attention_mask=given[1])
            scores = label_scores(self._model, self._tree, *given, encoded)
            real = given[1].unsqueeze(-1)
            pooled = (encoded.last_hidden_state * real).sum(dim=1) / real.sum(dim=1)
        return Scores(np.asarray(scores.float().numpy()), np.asarray(pooled.float().numpy()))


def label_scores(
    model: Any, tree: LabelTree, ids: torch.Tensor, mask: torch.Tensor, encoded: Any = None
) -> torch.Tensor:
    """Log probabilities (B, K) of the labels in `tree` by a `T5ForConditionalGeneration`, for `ids` and `mask` (B, L).
    `encoded` is the output of its encoder, where it is known.

    Training calls it too.
    """
    if encoded is None:
        encoded = model.get_encoder()(input_ids=ids, attention_mask=mask)
    start = model.config.decoder_start_token_id if model.config.decoder_start_token_id is not None else PAD_ID
    steps = []
    for branch in tree.branches:
        decoder_ids = torch.tensor([[start, *branch.prefix]], device=ids.device).expand(len(ids), -1)
        logits = model(encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=decoder_ids).logits[:, -1]
        steps.append(torch.log_softmax(logits[:, list(branch.following)].float(), dim=-1))
    none = torch.zeros(len(ids), device=ids.device)
    return torch.stack([sum((steps[b][:, t] for b, t in path), none) for path in tree.paths], dim=1)
