"""The dashboards that deploy/grafana ships: their panels, and their queries with Grafana's variables filled in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel as Grafana reads it, with the title of its dashboard."""

    dashboard: str
    json: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.json['title']}"

    @property
    def kind(self) -> str:
        return str(self.json["type"])

    def queries(self, rate_interval: str, shown: str) -> list[tuple[str, str]]:
        """Each query with its legend, for all instances."""
        filled = {"$__rate_interval": rate_interval, "$__range": shown, "$instance": ".+"}
        asked = []
        for target in self.json["targets"]:
            expression = target["expr"]
            for variable, value in filled.items():
                expression = expression.replace(variable, value)
            asked.append((expression, target["legendFormat"]))
        return asked


def panels(file: Path) -> list[Panel]:
    """The panels of a dashboard's file."""
    read = json.loads(file.read_text())
    return [Panel(read["title"], panel) for panel in read["panels"]]
