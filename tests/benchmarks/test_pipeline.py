"""The stages of the daemon. No test asserts how long anything takes."""

from __future__ import annotations

import pytest
from benchmarks import pipeline

from hard.model import bundle


def test_every_stage_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MIN_S", 0.0)
    spent = pipeline.stages(bundle.find(), 4)
    assert set(spent) == {"decode", "window", "features", "tokens", "prompt text", "scorer", "label"}
