"""A real Prometheus with the shipped configuration and rules, scraping fast."""

from __future__ import annotations

import contextlib
import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from hard.commands.processes import Process, free_port, wait_until

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"


def installed(name: str) -> str:
    """Where `name`, one of Prometheus' executables, is; the test skips where it is not."""
    executable = shutil.which(name)
    if executable is None:
        pytest.skip(f"{name} is not installed (Debian: apt install prometheus)")
    return executable


class Prometheus(Process):
    """Scrapes `targets` each second under the shipped job, rules and alerts included."""

    def __init__(self, folder: Path, targets: list[str]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(SHIPPED / name) for name in config["rule_files"]]
        config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [
            installed("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={self.url.removeprefix('http://')}",
        ]  # fmt: skip
        super().__init__("Prometheus", command, folder / "prometheus.log")

    def start(self) -> None:
        """Returns when it is ready."""
        super().start()
        wait_until(self._is_ready, "Prometheus is not ready", 120, self.check)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=10):
            return True
        return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of `expression` now, each with `metric` and `value`. Raises ValueError where it can't be read."""
        return list(self._ask("query", query=expression)["result"])

    def history(self, expression: str, begin: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """The series of `expression` from `begin` to `end` (Unix s), each with `metric` and `values`."""
        return list(self._ask("query_range", query=expression, start=begin, end=end, step=step_s)["result"])

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health, its last error and, of an alert, its state."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, what: str, **parameters: Any) -> dict[str, Any]:
        form = urllib.parse.urlencode(parameters).encode() if parameters else None
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{what}", form, timeout=30) as answer:
                return dict(json.load(answer)["data"])
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error
