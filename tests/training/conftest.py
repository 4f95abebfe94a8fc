"""Small recordings whose activities a tiny model can tell apart, and the rooms of scripts/training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "scripts"

# Rhythm in Hz and size in m/s² of each activity, and where gravity lies.
ACTIVITIES = {
    "Walking": (2.0, 3.0, (0.0, 9.6, 1.5)),
    "Jogging": (2.8, 9.0, (0.0, 9.6, 1.5)),
    "Sitting": (0.0, 0.05, (0.5, 1.0, 9.7)),
}


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WISDM text of six subjects: 25 s of each activity at 50 Hz, times in ns."""
    path = tmp_path_factory.mktemp("recordings") / "six.txt"
    rng = np.random.default_rng(7)
    lines = []
    for subject in range(1, 7):
        tempo, strength = rng.uniform(0.9, 1.1), rng.uniform(0.8, 1.2)
        for run, (activity, (rhythm_hz, size, gravity)) in enumerate(ACTIVITIES.items()):
            time = np.arange(0, 25, 0.02)
            wave = size * strength * np.sin(2 * np.pi * rhythm_hz * tempo * time)
            xyz = np.array(gravity) + wave[:, None] * [0.3, 1.0, 0.5] + rng.normal(0, 0.05, (len(time), 3))
            stamps = ((time + 1000 + 100 * run) * 1e9).astype(np.int64)
            lines += [
                f"{subject},{activity},{t},{x:.3f},{y:.3f},{z:.3f};" for t, (x, y, z) in zip(stamps, xyz, strict=True)
            ]
    path.write_text("\n".join(lines) + "\n")
    return path


Spoil = Callable[[Any], None]


@pytest.fixture(scope="session")
def tiny_flan(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves a checkpoint of FLAN-T5's architecture, tiny and random; `spoil(model)` may change it first."""

    def save(spoil: Spoil = lambda model: None) -> Path:
        folder = tmp_path_factory.mktemp("checkpoints") / "tiny-flan"
        save_flan(folder, spoil)
        return folder

    return save


def save_flan(folder: Path, spoil: Spoil) -> None:
    import torch
    from training.tokenizer import train_tokenizer
    from transformers import T5Config, T5ForConditionalGeneration

    from hard.model.prompts import SEED_TEXT

    rng = np.random.default_rng(3)
    prompts = [SEED_TEXT.format(*row) for row in rng.normal(0, 6, (300, 6))]
    tokenizer = train_tokenizer(prompts, (), ("Walking", "Jogging", "Sitting"))
    config = T5Config(
        vocab_size=len(tokenizer) + 5,  # as hub checkpoints have rows to spare
        d_model=32,
        d_kv=8,
        num_heads=3,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=2,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        tie_word_embeddings=False,  # how hub checkpoints say "don't scale the decoder's output"
    )
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(config)
    spoil(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
