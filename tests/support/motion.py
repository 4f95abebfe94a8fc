"""Grids and devices as the settings' defaults make them, with single rules changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hard.motion.devices import DeviceRules, Devices
from hard.motion.mounting import Frame
from hard.motion.windows import Grid
from hard.recordings.default_rules import default_grid
from hard.settings import IngestSection


def make_grid(length_s: float = 4.0, rate_hz: float = 20.0, **changes: float) -> Grid:
    return replace(default_grid(length_s, rate_hz), **changes)


def make_rules(**changes: Any) -> DeviceRules:
    defaults = {name: getattr(IngestSection(), name) for name in DeviceRules.__slots__}
    return DeviceRules(**{**defaults, **changes})


def make_devices(grid: Grid, default_mounting: Frame, **changes: Any) -> Devices:
    """`changes` are fields of DeviceRules."""
    return Devices(grid, default_mounting, make_rules(**changes))
