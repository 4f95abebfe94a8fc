"""The alert rules: valid, tested by promtool, explained, and about metrics that exist."""

from __future__ import annotations

import re
import subprocess

import pytest
from support.alerts import FOLDER, alerts, rules
from support.exposition import exposition
from support.prometheus import installed

RUNBOOK = (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "hard.rules.yml"),
        pytest.param(("test", "rules", "hard_test.yml"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_promtool_finds_no_error(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [installed("promtool"), *command], check=False, cwd=FOLDER, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert alert["annotations"]["runbook"] == f"deploy/prometheus/README.md#{name.lower()}"
    assert f"\n### {name}\n" in RUNBOOK


def test_every_alert_has_a_test_and_every_section_an_alert() -> None:
    assert set(re.findall(r"\bHard[A-Z]\w+", (FOLDER / "hard_test.yml").read_text())) == set(alerts())
    assert re.findall(r"^### (\w+)$", RUNBOOK, flags=re.M) == list(alerts())


def test_the_rules_read_metrics_that_exist() -> None:
    exported = set(re.findall(r"^(\w+)[{ ]", exposition(), flags=re.M))
    for rule in rules():
        for metric in re.findall(r"(?<![:\w])(?:hard|process)_\w+(?![:\w])", rule["expr"]):
            assert metric in exported, (rule, metric)
