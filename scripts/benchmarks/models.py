"""The two models that are measured: the default bundle, and a random one of FLAN-T5-small's size."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import structs
from training.export import export
from transformers import T5Config, T5ForConditionalGeneration

from hard.model import bundle
from hard.model.classifier import load
from hard.model.labels import LabelTree, label_tree
from hard.model.tokens import Ids, WordTokenizer
from hard.motion.features import Known, extract
from hard.simulator import Wearer

FLAN_SMALL = T5Config(
    vocab_size=32128, d_model=512, d_kv=64, d_ff=1024, num_layers=8, num_decoder_layers=8, num_heads=6,
    feed_forward_proj="gated-gelu", decoder_start_token_id=0,
)  # fmt: skip
PROMPTS = 128


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model to measure: its bundle, its weights in torch, and token ids (PROMPTS, L) of simulated wearers."""

    name: str
    folder: Path
    model: Any
    tree: LabelTree
    ids: Ids
    label_tokens: list[list[int]]

    @property
    def flops(self) -> float:
        """Operations for one window, two for each product: the model's forward over the prompt and one decoder step."""
        c, length = self.model.config, self.ids.shape[1]
        inner, gates = c.num_heads * c.d_kv, 3 if c.is_gated_act else 2
        forward, own = gates * c.d_model * c.d_ff, 4 * c.d_model * inner
        encoder = c.num_layers * (length * (own + forward) + 2 * length**2 * inner)
        decoder = c.num_decoder_layers * (own + 2 * c.d_model * inner + forward + 2 * length * inner)
        keys = c.num_decoder_layers * 2 * length * c.d_model * inner
        return 2.0 * float(encoder + decoder + keys + len(self.label_tokens) * c.d_model)


def subjects(folder: Path) -> list[Subject]:
    """Both, compiled into `folder` by the present exporter, since an older one may have compiled the shipped bundle."""
    default = bundle.read()
    small = T5ForConditionalGeneration.from_pretrained(default.path, dtype=torch.float32)
    torch.manual_seed(0)
    return [
        compiled("small", default, small, folder / "small"),
        compiled("flan", default, T5ForConditionalGeneration(FLAN_SMALL), folder / "flan"),
    ]


def compiled(name: str, default: bundle.Bundle, model: Any, folder: Path) -> Subject:
    """A bundle of `model` with the tokenizer, prompts and labels of the default one."""
    folder.mkdir(parents=True)
    for part in ("spiece.model", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(default.path / part, folder)
    model = model.float().eval()
    model.save_pretrained(folder)
    tokenizer = WordTokenizer(str(folder / bundle.TOKENIZER))
    labels = default.manifest.labels
    tokens = [tokenizer.encode(label) for label in labels]
    tree, ids = label_tree(tokens, labels), _prompts(default)
    export.export(model, tree, ids.shape[1], folder / bundle.GRAPHS["fp32"])
    export.export(
        model, tree, ids.shape[1], folder / bundle.GRAPHS["int8"],
        export.input_ranges(model, tree, ids.shape[1], ids, np.ones_like(ids)),
    )  # fmt: skip
    bundle.write(folder, structs.replace(default.manifest, name=name, format=bundle.FORMAT, precision="int8"))
    return Subject(name, folder, model, tree, ids, tokens)


def _prompts(default: bundle.Bundle) -> Ids:
    """Token ids of windows of simulated wearers."""
    manifest, points, frame = default.manifest, default.manifest.window.points, default.default_mounting()
    xyz = np.stack([Wearer((3, i), manifest.window.rate_hz).take(2 * points).xyz for i in range(PROMPTS)])
    up, forward = (np.tile(axis, (PROMPTS, 1)) for axis in (frame.up, frame.forward))
    before, windows = np.split(xyz.astype(np.float32), 2, axis=1)
    known = Known(up, forward, np.ones(PROMPTS, bool), before)
    features = extract(windows, known, manifest.window.rate_hz, manifest.prompt.features)
    return load(default.path).tokens(features)[0]
