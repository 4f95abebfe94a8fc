"""Node-RED and MQTT.js, from npm, as clients of a real daemon."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.daemon import FIELDS, daemon
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto

from hard.commands.processes import Process, free_port

ROOT = Path(__file__).resolve().parents[2]
FLOW = ROOT / "deploy" / "node-red" / "flow.json"
PACKAGES = {"node-red": "4.1.15", "mqtt": "5.16.0"}
INSTALL_S = 420

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def node_folder(request: pytest.FixtureRequest) -> Path:
    """A folder with PACKAGES in node_modules, kept between runs in pytest's cache."""
    if missing := [tool for tool in ("node", "npm") if shutil.which(tool) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed (Debian: apt install nodejs npm)")
    assert request.config.cache
    folder = request.config.cache.mkdir("-".join(f"{name}-{version}" for name, version in PACKAGES.items()))
    if not (folder / "complete").exists():
        wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
        options = ["--no-audit", "--no-fund", "--omit=optional", "--no-package-lock", "--ignore-scripts"]
        try:
            done = subprocess.run(
                ["npm", "install", "--prefix", str(folder), *options, *wanted],
                check=False, capture_output=True, text=True, timeout=INSTALL_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {', '.join(wanted)} within {INSTALL_S} s")
        if done.returncode:
            pytest.skip(f"npm could not install {', '.join(wanted)}: {done.stderr.strip()[-300:]}")
        (folder / "complete").touch()
    return folder


def node(*command: str | Path, folder: Path, log_file: Path) -> Process:
    return Process(
        "node", ["node", *map(str, command)], log_file, environment={"NODE_PATH": str(folder / "node_modules")},
        cwd=folder,
    )  # fmt: skip


def complete_lines(process: Process) -> list[str]:
    return process.log.split("\n")[:-1]


def wearer(mosquitto: Mosquitto, activity: str, folder: Path) -> Process:
    """One simulated wearer, `sim-1`, with one activity."""
    command = [sys.executable, "-m", "hard", "simulate", "--broker", mosquitto.url, "--devices", "1"]
    return Process("the wearer", [*command, "--one-activity", activity], folder / "simulate.log", cwd=ROOT)


def imported(port: int) -> list[dict[str, Any]]:
    """The shipped flow, with the test's broker in it."""
    flow: list[dict[str, Any]] = json.loads(FLOW.read_text())
    for node in flow:
        if node["type"] == "mqtt-broker":
            node |= {"broker": "127.0.0.1", "port": str(port)}
    return flow


def test_the_flow_in_node_red_says_which_device_is_active(
    mosquitto: Mosquitto, node_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "flow.json").write_text(json.dumps(imported(mosquitto.port)))
    (tmp_path / "settings.js").write_text(
        f"module.exports = {{ flowFile: 'flow.json', uiHost: '127.0.0.1', uiPort: {free_port()}, "
        "credentialSecret: 'test', telemetry: { enabled: false } };"
    )
    red = [node_folder / "node_modules/node-red/red.js", "--userDir", tmp_path, "-s", tmp_path / "settings.js"]

    def active() -> list[bool]:
        return [json.loads(payload)["active"] for topic, payload in listener.all if topic == "active/sim-1"]

    with (
        Listener(mosquitto) as listener,
        daemon(mosquitto.port, "ingest.silent_after_s=3") as running,
        node(*red, folder=node_folder, log_file=tmp_path / "node.log") as node_red,
    ):
        running.ready()
        eventually(lambda: "Connected to broker" in node_red.log, 180)
        with wearer(mosquitto, "Walking", tmp_path):
            eventually(lambda: active() == [True], 60)
        message = json.loads(listener.last["active/sim-1"])
        assert message == {"device": "sim-1", "active": True, "label": message["label"]}
        eventually(lambda: active() == [True, False])
        assert json.loads(listener.last["active/sim-1"])["label"] == "unknown"
        with wearer(mosquitto, "Jogging", tmp_path):
            eventually(lambda: active() == [True, False, True], 60)
            running.stop(signal.SIGKILL)  # its last will says offline
            eventually(lambda: active() == [True, False, True, False])
        assert "[error]" not in node_red.log


@pytest.mark.parametrize(("version", "scheme"), [("4", "mqtt"), ("5", "mqtt"), ("4", "ws")])
def test_mqtt_js_reads_the_label_topics(
    mosquitto: Mosquitto, node_folder: Path, tmp_path: Path, version: str, scheme: str
) -> None:
    url = mosquitto.with_websockets() if scheme == "ws" else mosquitto.url  # as a browser does
    # Node looks for modules beside the script, not in the working directory.
    script = shutil.copy(Path(__file__).parents[1] / "support" / "subscriber.mjs", node_folder / "subscriber.mjs")

    def messages(end: str) -> list[dict[str, Any]]:
        seen = [json.loads(line) for line in complete_lines(subscriber)]
        return [message for message in seen if message["topic"].endswith(end)]

    with (
        daemon(mosquitto.port) as running,
        node(script, url, version, folder=node_folder, log_file=tmp_path / "node.log") as subscriber,
    ):
        running.ready()
        with wearer(mosquitto, "Sitting", tmp_path):
            eventually(lambda: len(messages("/activity")) >= 2 and messages("/state"), 60)
        label = messages("/activity")[0]
        assert (label["topic"], label["qos"], label["retain"]) == ("hard/sim-1/activity", 1, False)
        assert set(json.loads(label["payload"])) == FIELDS
        assert set(json.loads(messages("/state")[0]["payload"])) == {"label", "since", "confidence"}
        assert messages("hard/status")[0]["payload"] == "online"


def test_the_flow_has_no_secret_and_every_wire_ends_at_a_node() -> None:
    flow = json.loads(FLOW.read_text())
    ids = {node["id"] for node in flow}
    assert {wired for node in flow for wires in node.get("wires", []) for wired in wires} <= ids
    assert {node["broker"] for node in flow if "mqtt " in node["type"]} <= ids
    assert not any("credentials" in node for node in flow)
