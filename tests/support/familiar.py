"""A bundle that says how familiar a window is: the shipped one, whose graph is written anew with the pooled output."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hard.model import bundle
from hard.model.bundle import Bundle
from hard.model.encoder import Encoder
from hard.model.familiarity import FamiliaritySpec, packed
from hard.model.labels import label_tree
from hard.model.tokens import WordTokenizer


def familiar_bundle(folder: Path, *, min_familiar: float = 0.5) -> Bundle:
    """The bundle in the new `folder`. What it finds familiar is of no use: the higher the first number of the pooled
    output, the more."""
    pytest.importorskip("transformers", reason="transformers is not installed")
    from tqdm import tqdm
    from training.export.export import export
    from transformers import T5ForConditionalGeneration

    tqdm.monitor_interval = 0  # the bars of transformers would start a thread that lives as long as the process
    shipped = bundle.read()
    shutil.copytree(shipped.path, folder)
    words, labels = WordTokenizer(str(folder / bundle.TOKENIZER)), shipped.manifest.labels
    model = T5ForConditionalGeneration.from_pretrained(folder)
    tree = label_tree([words.encode(label) for label in labels], labels)
    export(model, tree, Encoder(words, shipped.manifest.prompt).length, folder / bundle.GRAPHS["fp32"])
    width = model.config.d_model
    hidden = np.zeros((width + 2, 2))
    hidden[0] = 1, -1
    spec = FamiliaritySpec(
        min_familiar, ((-1.0, 0.0, 1.0),) * len(labels), packed(np.eye(width)), packed(np.zeros((1, width))),
        packed(hidden), packed(np.array([1, -1])),
    )  # fmt: skip
    return bundle.write(folder, msgspec.structs.replace(shipped.manifest, familiarity=spec, precision="fp32"))
