"""Small recordings whose activities a tiny model can tell apart, and the rooms of scripts/training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.checkpoints import Spoil, save_flan

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


@pytest.fixture(scope="session")
def tiny_flan(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves a checkpoint of FLAN-T5's architecture, tiny and random; `spoil(model)` may change it first."""

    def save(spoil: Spoil = lambda model: None) -> Path:
        folder = tmp_path_factory.mktemp("checkpoints") / "tiny-flan"
        save_flan(folder, spoil)
        return folder

    return save
