"""The dashboards: what a reader of a panel needs is there, and every query has an answer from a live daemon.

`pytest tests/deploy/test_grafana.py --draw` watches longer and draws the dashboards to scripts/figures.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from support.alerts import alerts
from support.daemon import daemon
from support.dashboards import FILES, FOLDER, Panel, panels
from support.exposition import exposition
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto
from support.prometheus import Prometheus

ROOT = Path(__file__).resolve().parents[2]
PANELS = [panel for file in FILES for panel in panels(file)]
# Panels and alerts that may have nothing to show while a daemon is under load. None has: what is rare is provoked.
QUIET: set[str] = set()


def test_there_are_four_dashboards() -> None:
    assert [file.stem for file in FILES] == ["hard-delivery", "hard-fleet", "hard-latency", "hard-model"]
    assert len({panel.json["id"] for panel in panels(FILES[0])}) == len(panels(FILES[0]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_has_variables_for_data_source_and_instance(file: Path) -> None:
    read = json.loads(file.read_text())
    assert (read["uid"], read["tags"]) == (file.stem, ["hard"])
    assert {v["name"]: v["type"] for v in read["templating"]["list"]} == {
        "datasource": "datasource",
        "instance": "query",
    }
    assert "label_values(hard_uptime_seconds, instance)" in read["templating"]["list"][1]["query"]["query"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_grafana_knows_every_key(file: Path) -> None:
    """Grafana's own models of a dashboard take it in and give it back; a key they don't know would be missing."""
    read = json.loads(file.read_text())
    plugins.register_default_plugins()
    assert set(missing(read, json.loads(JSONEncoder().encode(Dashboard.from_json(read))))) == set()


def missing(given: Any, back: Any, path: str = "") -> Iterator[str]:
    """Where `given` holds something that `back` doesn't."""
    if isinstance(given, dict) and isinstance(back, dict):
        for key, value in given.items():
            yield from missing(value, back.get(key), f"{path}/{key}")
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for value, kept in zip(given, back, strict=True):
            yield from missing(value, kept, path)
    elif given != back:
        yield f"{path}: {given!r}"


@pytest.mark.parametrize("panel", PANELS, ids=str)
def test_a_panel_has_title_description_unit_and_variables(panel: Panel) -> None:
    assert panel.json["title"]
    assert panel.json["description"].endswith(".")
    assert panel.json["fieldConfig"]["defaults"]["unit"]
    for target in panel.json["targets"]:
        assert target["datasource"]["uid"] == panel.json["datasource"]["uid"] == "${datasource}"
        assert 'instance=~"$instance"' in target["expr"] or target["expr"].startswith("count(ALERTS")
        windows = re.findall(r"\[(.*?)\]", target["expr"])
        assert set(windows) <= {"$__rate_interval", "$__range", "1h"}
        assert "1h" not in windows or "last hour" in panel.json["description"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_lie_side_by_side(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(file):
        at = panel.json["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel
        taken |= cells


def test_every_metric_is_on_a_dashboard_but_those_listed() -> None:
    text = "".join(file.read_text() for file in FILES)
    names = set(re.findall(r"^# TYPE (hard_\w+)", exposition(), flags=re.M))
    unseen = {name for name in names if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", text)}
    assert unseen == {"hard_accepted_samples_total"}  # an account between samples and windows, for whoever asks


def test_grafana_is_provisioned_from_the_folder_that_the_page_names() -> None:
    provider = yaml.safe_load((FOLDER / "provisioning/dashboards/hard.yml").read_text())["providers"][0]
    assert provider["options"]["path"] in (FOLDER / "README.md").read_text()
    source = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)


@contextlib.contextmanager
def load(mosquitto: Mosquitto, devices: int) -> Iterator[None]:
    """Simulated wearers."""
    wearers = subprocess.Popen(
        [sys.executable, "-m", "hard", "simulate", "--broker", mosquitto.url, "--devices", str(devices)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        wearers.terminate()
        wearers.wait(20)


def nonsense(mosquitto: Mosquitto) -> None:
    """Three messages that can't be read, and one with a bad sample, for the panels that show such."""
    with Listener(mosquitto, "none") as sender:
        half = b'{"t0": %.3f, "rate": 50, "xyz": [[0, 0, 9.8], null]}' % time.time()
        for payload in (b"{", b'{"t0": 1, "rate": 50}', b'{"t0": 5e10, "rate": 50, "xyz": [[1, 2, 3]]}', half):
            sender.client.publish("sensors/broken/accel", payload, qos=1).wait_for_publish(60)


def looked_at(expression: str) -> str:
    """An alert's expression without its thresholds: what it looks at, be it healthy or not."""
    return re.sub(r"\s(==|>)\s*[\d.]+", "", expression)


@pytest.mark.slow
def test_every_panel_and_every_alert_has_data_from_a_live_daemon(
    mosquitto: Mosquitto, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    drawing = pytestconfig.getoption("--draw")
    overrides = (
        "labels.min_confidence=0.5",
        "state.durability=journal",
        f"state.dir={tmp_path}",
    )
    with (
        daemon(mosquitto.port, *overrides) as running,
        Prometheus(tmp_path, [running.ready().metrics_address]) as prometheus,
        load(mosquitto, devices=40 if drawing else 10),
    ):
        begin = time.time()
        eventually(lambda: prometheus.query("sum(hard_labels_total) > 100"), 120)
        nonsense(mosquitto)
        eventually(lambda: prometheus.query('increase(hard_rejected_messages_total{reason="fields"}[1m]) > 0'))
        if drawing:
            time.sleep(100)
            mosquitto.stop(kill=True)
            time.sleep(5)
            mosquitto.start()
            time.sleep(80)
        silent = {f"{panel}: {query}": query for panel in PANELS for query, _ in panel.queries("10s", "5m")
                  if str(panel) not in QUIET}  # fmt: skip
        silent |= {f"{name}: {looked_at(alert['expr'])}": looked_at(alert["expr"]) for name, alert in alerts().items()
                   if name not in QUIET}  # fmt: skip

        def all_answer() -> bool:
            for name in [name for name, query in silent.items() if prometheus.query(query)]:
                del silent[name]
            return not silent

        with contextlib.suppress(AssertionError):  # a scrape that a busy machine missed leaves nothing for a second
            eventually(all_answer, 60)
        assert silent == {}
        assert buckets_that_do_not_fit(prometheus) == []
        eventually(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()))
        assert [rule["name"] for rule in prometheus.rules() if rule.get("state", "inactive") == "firing"] == []
        if drawing:
            from support.drawing import Drawing

            shown = Drawing(prometheus, (begin, time.time()))
            for file in FILES:
                shown.draw(panels(file), ROOT / "scripts" / "figures" / f"{file.stem}.png")
        assert running.stop() == 0
        eventually(lambda: down(prometheus) == "pending")


def buckets_that_do_not_fit(prometheus: Prometheus) -> list[str]:
    """Histograms with more than a hundredth of their values beyond the last bound, or nearly all below the first."""
    bad = []
    for name in ("hard_latency_seconds", "hard_stage_seconds", "hard_batch_windows", "hard_confidence"):
        by_stage: dict[str, dict[float, float]] = {}
        for one in prometheus.query(f"sum by (stage, le) ({name}_bucket)"):
            metric = one["metric"]
            by_stage.setdefault(metric.get("stage", ""), {})[float(metric["le"])] = float(one["value"][1])
        for stage, counts in by_stage.items():
            first, *_, last, infinite = sorted(counts)
            low = 0 if name == "hard_batch_windows" else counts[first]  # a window alone is what it is
            if counts[last] < 0.99 * counts[infinite] or low > 0.9 * counts[infinite]:
                bad.append(f"{name} {stage}: {counts}")
    return bad


def down(prometheus: Prometheus) -> str:
    return str(next(rule["state"] for rule in prometheus.rules() if rule["name"] == "HardDown"))


def test_a_threshold_is_removed_from_a_query() -> None:
    assert looked_at('up{job="hard"} == 0 or absent(up{job="hard"})') == 'up{job="hard"} or absent(up{job="hard"})'
    assert looked_at("a > 0.5\nand b > 5000\n") == "a\nand b\n"
