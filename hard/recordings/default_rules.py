"""Grids and devices under the settings' defaults: recordings become the windows of a daemon without settings."""

from __future__ import annotations

from hard.model.bundle import Bundle
from hard.motion.devices import DeviceRules, Devices
from hard.motion.mounting import Frame
from hard.motion.windows import Grid
from hard.settings import IngestSection, LabelsSection


def default_grid(length_s: float, rate_hz: float, hop_s: float | None = None) -> Grid:
    """The grid of windows of `length_s` at `rate_hz`; without `hop_s` the settings' one. Raises ValueError."""
    ingest, labels = IngestSection(), LabelsSection()
    return Grid(
        length_s, rate_hz, hop_s=labels.hop_s if hop_s is None else hop_s, max_gap_s=ingest.max_gap_s,
        min_coverage=labels.min_coverage, max_rate_hz=ingest.max_rate_hz,
    )  # fmt: skip


def default_devices(grid: Grid, default_mounting: Frame) -> Devices:
    """No devices yet, under the settings' bounds and times."""
    ingest = IngestSection()
    rules = DeviceRules(
        max_devices=ingest.max_devices, reorder_s=ingest.reorder_s, silent_after_s=ingest.silent_after_s,
        forget_after_s=ingest.forget_after_s, max_abs_ms2=ingest.max_abs_ms2,
    )  # fmt: skip
    return Devices(grid, default_mounting, rules)


def bundle_devices(bundle: Bundle, hop_s: float | None = None) -> Devices:
    """No devices yet, with the windows and the mounting of `bundle`. Raises ValueError where `hop_s` fits no grid."""
    window = bundle.manifest.window
    return default_devices(default_grid(window.length_s, window.rate_hz, hop_s), bundle.default_mounting())
