"""Recordings get the windows of a daemon without settings."""

from __future__ import annotations

import pytest

from hard.daemon import wiring
from hard.model import bundle
from hard.recordings.default_rules import bundle_devices, default_grid
from hard.settings import Settings


def test_the_grid_is_the_one_of_a_daemon_without_settings() -> None:
    shipped = bundle.read()
    assert bundle_devices(shipped).grid == wiring.make_grid(Settings(), shipped)
    assert bundle_devices(shipped, 0.5).grid.hop_s == 0.5


def test_a_grid_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="hop_s"):
        default_grid(4.0, 20.0, 0.0)
