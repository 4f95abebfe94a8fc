"""Parts 1 and 3 as one picture: how the backends compare, and what a label costs at each number of devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.backends import ALL, NOTEBOOK

BATCH = 32
OURS, OTHERS = "#b5442e", "#7a8791"


def draw(record: dict[str, Any], path: Path) -> None:
    """Writes a PNG; a part that was not measured stays empty."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        axes = figure.subplots(1, 3, width_ratios=(1.2, 1.2, 1))
        for axis, model, title in ((axes[0], "small", "default bundle"), (axes[1], "flan", "FLAN-T5-small's shape")):
            _bars(axis, [r for r in record.get("scorer", ()) if r["model"] == model and r["threads"] == 1], title)
        _lines(axes[2], record.get("endtoend", {}))
        figure.savefig(path, dpi=130)


def _bars(axis: Any, rows: list[dict[str, Any]], title: str) -> None:
    chosen = [r for r in rows if r["batch"] == (1 if r["backend"] == NOTEBOOK else BATCH)]
    chosen.sort(key=lambda r: -ALL.index(r["backend"]))
    names = [r["backend"].replace(", ", ",\n", 1) for r in chosen]
    bars = axis.barh(names, [r["windows_s"] for r in chosen], color=[OURS if "HARD" in n else OTHERS for n in names])
    axis.bar_label(bars, [f"{r['windows_s']:,.0f}" for r in chosen], padding=2)
    if rows:
        axis.set_xscale("log")
    axis.set_title(f"windows a second on one core\n{title}", fontsize=9)


def _lines(axis: Any, found: dict[str, Any]) -> None:
    for kind, trials in found.items():
        if "constant_rate" in trials:
            points = [(t["devices"], t["server_ms"]) for t in trials["constant_rate"]]
            axis.plot(*zip(*points, strict=True), "o-", label=f"durability {kind}")
    if found:
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
    axis.set_xlabel("devices")
    axis.set_title("daemon: CPU ms a label\nat 500 labels a second", fontsize=9)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)
