"""Draws a dashboard's panels from what Prometheus answers, at the places that Grafana would use. It is no Grafana: the
pictures show readers, and people who change a query, what the queries give."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from support.dashboards import Panel
from support.prometheus import Prometheus

COLUMN, ROW = 0.72, 0.29  # of Grafana's grid, in inches
STEP_S = 2.0
RATE = "10s"
UNITS: dict[str, tuple[float, str]] = {
    "percentunit": (100, " %"),
    "s": (1000, " ms"),
    "cps": (1, "/s"),
    "bytes": (1e-6, " MB"),
}
Series = list[tuple[str, Any]]  # a legend, and the series that has it


class Drawing:
    """One dashboard's figure; `shown` is from when to when, in Unix s."""

    def __init__(self, prometheus: Prometheus, shown: tuple[float, float]) -> None:
        self._prometheus, self._shown = prometheus, shown

    def draw(self, panels: Sequence[Panel], path: Path) -> None:
        """Every panel in its place."""
        mpl.rcParams.update({"font.size": 7, "axes.spines.top": False, "axes.spines.right": False})
        rows = max(p.json["gridPos"]["y"] + p.json["gridPos"]["h"] for p in panels)
        figure = Figure(figsize=(24 * COLUMN, rows * ROW + 0.4), dpi=75)
        figure.suptitle(panels[0].dashboard, x=0.008, ha="left", fontsize=11, fontweight="bold")
        height = rows * ROW + 0.4
        for panel in panels:
            at = panel.json["gridPos"]
            left, width = (at["x"] + 0.75) / 24, (at["w"] - 1.0) / 24
            bottom = 1 - (0.4 + (at["y"] + at["h"] - 1.2) * ROW) / height
            axes = figure.add_axes((left, bottom, width, (at["h"] - 2.7) * ROW / height))
            axes.set_title(panel.json["title"], loc="left", fontsize=8)
            self._kinds()[panel.kind](axes, panel)
        figure.savefig(path)

    def _kinds(self) -> dict[str, Callable[[Axes, Panel], None]]:
        return {
            "timeseries": self._timeseries, "stat": self._stat, "heatmap": self._heatmap,
            "barchart": self._bars, "table": self._table,
        }  # fmt: skip

    def _answers(self, panel: Panel, *, history: bool) -> list[Series]:
        """The series of each query, under their legends."""
        begin, end = self._shown
        given = []
        for expression, legend in panel.queries(RATE, f"{end - begin:.0f}s"):
            if history:
                series = self._prometheus.history(expression, begin, end, STEP_S)
            else:
                series = self._prometheus.query(expression)
            given.append([(_named(legend, one["metric"]), one) for one in series])
        return given

    def _timeseries(self, axes: Axes, panel: Panel) -> None:
        factor, suffix = UNITS.get(panel.json["fieldConfig"]["defaults"]["unit"], (1, ""))
        every = np.arange(self._shown[0], self._shown[1] + STEP_S / 2, STEP_S)
        lines = {}
        for legend, one in chain.from_iterable(self._answers(panel, history=True)):
            values = {round(float(t) - every[0], 1): float(v) * factor for t, v in one["values"]}
            lines[legend] = [values.get(round(t - every[0], 1), np.nan) for t in every]
        custom = panel.json["fieldConfig"]["defaults"].get("custom", {})
        if custom["stacking"]["mode"] == "normal":
            stacked = [np.nan_to_num(line) for line in lines.values()]
            lines["all"] = np.sum(stacked, axis=0).tolist()
            axes.stackplot(every - every[0], *stacked, labels=list(lines)[:-1], alpha=0.7)
        else:
            for legend, line in lines.items():
                axes.plot(every - every[0], line, label=legend, linewidth=0.9)
        if panel.json["fieldConfig"]["defaults"].get("min") == 0:
            top = float(np.nanmax(list(lines.values()))) or 1.0
            axes.set_ylim(-0.03 * top, 1.06 * top)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}{suffix}")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.08), fontsize=5.5, ncols=4, frameon=False)

    def _stat(self, axes: Axes, panel: Panel) -> None:
        defaults = panel.json["fieldConfig"]["defaults"]
        factor, suffix = UNITS.get(defaults["unit"], (1, ""))
        value = float(self._answers(panel, history=False)[0][0][1]["value"][1])
        text = f"{value * factor:.4g}{suffix}"
        for mapping in defaults.get("mappings", ()):
            text = mapping["options"].get(f"{value:g}", {}).get("text", text)
        axes.text(0.5, 0.4, text, ha="center", va="center", fontsize=15)
        axes.axis("off")

    def _heatmap(self, axes: Axes, panel: Panel) -> None:
        every = np.arange(self._shown[0], self._shown[1] + STEP_S / 2, STEP_S)
        buckets = {one["metric"]["le"]: one["values"] for _, one in self._answers(panel, history=True)[0]}
        bounds = sorted(float(le) for le in buckets if le != "+Inf")
        table = np.zeros((len(bounds), len(every)))
        for i, bound in enumerate(bounds):
            for t, v in next(values for le, values in buckets.items() if float(le) == bound):
                table[i, round((float(t) - every[0]) / STEP_S)] = float(v)
        table = np.diff(table, axis=0, prepend=0)
        axes.pcolormesh(every - every[0], range(len(bounds) + 1), table[:, :-1], cmap="Oranges")
        axes.set_yticks(range(1, len(bounds) + 1), [f"{100 * bound:g} %" for bound in bounds])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")

    def _bars(self, axes: Axes, panel: Panel) -> None:
        field = panel.json["options"]["xField"]
        answers = self._answers(panel, history=False)
        names = sorted({one["metric"][field] for series in answers for _, one in series})
        for i, (series, what) in enumerate(zip(answers, ("now", "training"), strict=True)):
            values = {one["metric"][field]: float(one["value"][1]) * 100 for _, one in series}
            axes.bar(np.arange(len(names)) + 0.38 * i, [values.get(name, 0) for name in names], 0.36, label=what)
        axes.set_xticks(np.arange(len(names)) + 0.19, names)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
        axes.legend(fontsize=5.5)

    def _table(self, axes: Axes, panel: Panel) -> None:
        transformed = panel.json["transformations"][0]["options"]
        rows = [one["metric"] for _, one in self._answers(panel, history=False)[0]]
        columns = [name for name in transformed["indexByName"] if name in rows[0]]
        axes.axis("off")
        axes.table([[row[name] for name in columns] for row in rows], colLabels=columns, loc="upper center")


def _named(legend: str, metric: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: metric.get(found.group(1), ""), legend)
