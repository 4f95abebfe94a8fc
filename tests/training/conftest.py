"""Small recordings whose activities a tiny model can distinguish, and a tiny checkpoint."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.checkpoints import Change, save_random_checkpoint
from tqdm import tqdm

tqdm.monitor_interval = 0  # the bars of transformers would start a thread that lives as long as the process

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


@pytest.fixture
def known(recording: Path, tmp_path: Path) -> Path:
    """The same recordings under the name of those that the shipped bundle was made from."""
    path = tmp_path / "motionsense_50hz_raw.txt.xz"
    path.write_bytes(lzma.compress(recording.read_bytes(), preset=0))
    return path


@pytest.fixture(scope="session")
def tiny_flan(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves a tiny checkpoint of FLAN-T5's architecture with random weights, `change(model)` made first; its folder."""

    def save(change: Change = lambda model: None) -> Path:
        folder = tmp_path_factory.mktemp("checkpoints") / "tiny-flan"
        save_random_checkpoint(folder, change)
        return folder

    return save
