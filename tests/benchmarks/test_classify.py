"""The driver that measures the classifier of any checkout."""

from __future__ import annotations

import sys

import pytest
from benchmarks import classify


def test_windows_are_the_same_each_time() -> None:
    first, second = classify.windows(2, 80, 20.0), classify.windows(2, 80, 20.0)
    assert first[0].xyz.shape == (80, 3)
    assert [a.xyz.tobytes() for a in first] == [b.xyz.tobytes() for b in second]
    assert first[0].xyz.tobytes() != first[1].xyz.tobytes()


def test_the_driver_prints_the_cost_of_a_window(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["classify.py", "2", "0.01"])
    classify.main()
    assert float(capsys.readouterr().out) > 0
