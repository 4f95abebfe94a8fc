"""A bundle's model grows by new labels: its vocabulary gets pieces, its embeddings rows. Trains nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from hard.model.bundle import Bundle
from hard.model.classifier import Classifier
from training.data.loading import LabelledWindows

ASKED = 500  # windows of a new activity that the bundle is asked about


def nearest(base: Bundle, learnt: LabelledWindows) -> dict[str, str]:
    """For each truth of `learnt` that is no label of the bundle, the label that the bundle gives it most often."""
    found, learnt = {}, learnt.of_one_label
    for truth in sorted(set(learnt.truth.tolist()) - set(base.manifest.labels)):
        windows = [w for w, t in zip(learnt.windows, learnt.truth, strict=True) if t == truth][:ASKED]
        given = Counter(p.label for p in Classifier(base).classify(windows))
        found[truth] = given.most_common(1)[0][0]
    return found


def grow(model: Any, before: Any, tokenizer: Any, like: dict[str, str]) -> None:
    """Gives `model` a row for each piece that `tokenizer` has more than the one `before`.

    A new label begins as a synonym of the one in `like`: begun at random, its row would take longer to be found than
    all else takes to be unlearnt.
    """
    if len(tokenizer) == len(before):
        return
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for weight in {id(w): w for w in (model.shared.weight, model.lm_head.weight)}.values():
            for label, known in like.items():
                row = weight[before(known)["input_ids"][0]].clone()
                for token in tokenizer(label)["input_ids"]:
                    if token >= len(before):
                        weight[token] = row
