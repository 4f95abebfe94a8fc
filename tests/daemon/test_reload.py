"""SIGHUP on a real daemon under load: settings and bundles change, and no window is lost."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.daemon import batch, daemon, discrepancies, labels
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto
from support.payloads import walking

from hard.daemon.reload import LIVE, Reload, Reloader, flat, prepare
from hard.formats import csv_lines
from hard.model import bundle
from hard.model.bundle import Manifest, WindowSpec
from hard.model.classifier import load
from hard.mqtt.simple_client import SimpleClient
from hard.settings import DeviceEntry, LabelsSection, ModelSection, Settings, SettingsError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "hard.toml"


def other(folder: Path, change: Callable[[Manifest], Manifest]) -> Path:
    """A copy of the default bundle, changed by `change`."""
    shutil.copytree(bundle.find(), folder)
    bundle.write(folder, change(bundle.read(folder).manifest))
    return folder


def named(manifest: Manifest) -> Manifest:
    return msgspec.structs.replace(manifest, name="other")


def started(mosquitto: Mosquitto, config: Path, code: str = "") -> Any:
    return daemon(mosquitto.port, code=f"import sys\nsys.argv += ['--config', {str(config)!r}]\n{code}")


def health(listener: Listener) -> list[dict[str, Any]]:
    return [json.loads(payload) for topic, payload in listener.all if topic == "hard/health"]


def test_a_new_bundle_is_swapped_in_under_load_without_losing_a_window(
    mosquitto: Mosquitto, config: Path, tmp_path: Path
) -> None:
    config.write_text("[labels]\nmin_confidence = 0.0\n")
    new = other(tmp_path / "other", named)
    start, seconds, devices = time.time() - 500, 60, 5
    with Listener(mosquitto) as listener, started(mosquitto, config) as running:
        running.ready()
        for second in range(seconds):
            if second == 20:
                eventually(lambda: all(labels(listener, f"d{device}") for device in range(devices)))
                config.write_text(
                    "grace_s = 3\n[labels]\nmin_confidence = 1.0\n[ingest]\nplace = 'left wrist'\n"
                    f"[model]\nbundle = '{new}'\n[mqtt]\nkeepalive_s = 7\n"
                )
                running.send_signal(signal.SIGHUP)
            if second == 40:
                eventually(lambda: "reloaded: model other-" in running.log)
            for device in range(devices):
                payload = batch(start + second, seed=second)
                listener.client.publish(f"sensors/d{device}/accel", payload, qos=1)
            time.sleep(0.02)
        for device in range(devices):
            eventually(lambda device=device: len(labels(listener, f"d{device}")) == seconds - 3)
            given = labels(listener, f"d{device}")
            assert [label["model"].partition("-")[0] for label in (given[0], given[-1])] == ["hard", "other"]
            assert (given[0]["accepted"], given[-1]["accepted"]) == (True, False)
            assert (given[0]["place"], given[-1]["place"]) == (None, "wrist")
        assert "these settings need a restart: mqtt.keepalive_s" in running.log
        assert "changed: grace_s, ingest.place, labels.min_confidence, model.bundle" in running.log
        assert not any(discrepancies(running).values())
        assert running.stop() == 0


@pytest.mark.parametrize("kind", ["window", "mounting", "damaged", "setting"])
def test_what_does_not_fit_is_refused_with_one_sentence(
    mosquitto: Mosquitto, config: Path, tmp_path: Path, kind: str
) -> None:
    config.write_text("labels.min_confidence = 0")
    if kind == "window":
        longer = WindowSpec(length_s=8.0, rate_hz=10.0)  # as many grid points, so that all else fits
        text = f"model.bundle = '{other(tmp_path / 'b', lambda m: msgspec.structs.replace(m, window=longer))}'"
        refusal = "its windows are 8 s at 10 Hz in m/s2, those in use 4 s at 20 Hz in m/s2: this needs a restart"
    elif kind == "mounting":
        turned = other(tmp_path / "b", lambda m: msgspec.structs.replace(m, up=m.forward, forward=m.up))
        text, refusal = f"model.bundle = '{turned}'", "default mounting is not the one in use"
    elif kind == "damaged":
        (other(tmp_path / "b", named) / "model.onnx").write_bytes(b"no graph")
        text, refusal = f"model.bundle = '{tmp_path / 'b'}'", "sha256 differs"
    else:
        text, refusal = "labels.min_confidence = 7", "labels.min_confidence"
    with Listener(mosquitto) as listener, started(mosquitto, config) as running:
        running.ready()
        config.write_text(text)
        running.send_signal(signal.SIGHUP)
        eventually(lambda: "not reloaded, all stays as it is" in running.log)
        line = next(line for line in running.lines if "not reloaded" in line)
        assert refusal in line
        start = time.time() - 50
        for second in range(5):
            listener.client.publish("sensors/a/accel", batch(start + second, seed=second), qos=1)
        eventually(lambda: len(labels(listener, "a")) == 2)
        assert labels(listener, "a")[-1]["accepted"]
        config.write_text("labels.min_confidence = 0")  # and mended, it reloads
        running.send_signal(signal.SIGHUP)
        eventually(lambda: "changed: nothing" in running.log)
        assert running.stop() == 0


HELD = """
import time
from pathlib import Path
from hard.daemon import reload
prepare, begun, go_on = reload.prepare, Path({begun!r}), Path({go_on!r})
def held(*args):
    begun.touch()
    while not go_on.exists():
        time.sleep(0.01)
    return prepare(*args)
reload.prepare = held
"""


@pytest.mark.slow
def test_a_signal_that_comes_during_a_reload_asks_for_another(
    mosquitto: Mosquitto, config: Path, tmp_path: Path
) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"
    common = "[publish]\nhealth_every_s = 0.1\n[labels]\nmin_confidence = "
    config.write_text(common + "0.1")
    code = HELD.format(begun=str(begun), go_on=str(go_on))
    with Listener(mosquitto) as listener, started(mosquitto, config, code) as running:
        running.ready()
        config.write_text(common + "0.2")
        running.send_signal(signal.SIGHUP)
        eventually(begun.exists)  # the settings are read
        config.write_text(common + "0.3")
        running.send_signal(signal.SIGHUP)
        before = len(health(listener))
        eventually(lambda: len(health(listener)) > before + 1)  # the second signal has had its tick
        go_on.touch()
        eventually(lambda: running.log.count("changed: labels.min_confidence") == 2)
        assert running.stop() == 0


@pytest.mark.slow
def test_the_next_health_record_comes_by_the_new_interval(mosquitto: Mosquitto, config: Path) -> None:
    config.write_text("publish.health_every_s = 3600")
    with Listener(mosquitto) as listener, started(mosquitto, config) as running:
        running.ready()
        eventually(lambda: health(listener))
        for every_s, records in ((0.1, 3), (7200.0, 1)):
            config.write_text(f"publish.health_every_s = {every_s}")
            running.send_signal(signal.SIGHUP)
            eventually(lambda s=every_s, n=records: [h["every_s"] for h in health(listener)].count(s) >= n)
        assert running.stop() == 0


def test_an_entry_of_devices_holds_from_the_next_message_on(mosquitto: Mosquitto, config: Path) -> None:
    config.write_text("")
    time_s, xyz = walking(400)
    payload = csv_lines.write(time_s, xyz)
    with (
        Listener(mosquitto) as listener,
        started(mosquitto, config) as running,
        SimpleClient(mosquitto.address) as client,
    ):
        running.ready()
        client.publish("sensors/b-1/accel", payload)
        eventually(lambda: running.metrics()['hard_rejected_messages_total{reason="json"}'] == 1)
        config.write_text('[[devices]]\nmatch = "b-*"\nformat = "csv"\n')
        running.send_signal(signal.SIGHUP)
        eventually(lambda: "changed: devices" in running.log)
        client.publish("sensors/b-1/accel", payload)
        eventually(lambda: len(labels(listener, "b-1")) == 5)
        assert running.stop() == 0


def test_a_request_during_a_reload_is_for_another_one() -> None:
    go_on, serving = threading.Event(), load()

    def reread() -> Settings:
        assert go_on.wait(60)
        raise SettingsError("no")

    reloader = Reloader(reread)
    assert not reloader.start(Settings(), serving), "nothing was requested"
    reloader.request()
    assert reloader.start(Settings(), serving)
    reloader.request()
    assert (reloader.start(Settings(), serving), reloader.finished()) == (False, None)
    go_on.set()
    ended: list[Reload] = []
    eventually(lambda: ended.extend(filter(None, [reloader.finished()])) or ended)
    assert (ended[0].change, ended[0].refusal) == (None, "no")
    assert reloader.start(Settings(), serving)
    eventually(reloader.finished)
    assert not reloader.start(Settings(), serving)


def test_changes_are_applied_now_or_named_for_the_next_start() -> None:
    serving = load()
    new = Settings(
        labels=LabelsSection(min_confidence=0.5, lag_s=2.0, smoothing="majority", hop_s=2.0), log_level="debug"
    )
    change = prepare(Settings(), serving, new)
    live = ("log_level", "labels.min_confidence", "labels.smoothing", "labels.lag_s")
    assert (change.live, change.restart) == (live, ("labels.hop_s",))
    assert (change.settings.log_level, change.settings.labels.min_confidence) == ("debug", 0.5)
    assert (change.settings.labels.hop_s, change.classifier) == (1.0, None)


def test_entries_of_devices_are_live_and_refused_where_they_cannot_be_used() -> None:
    serving = load()
    entry = DeviceEntry(match="a", unit="g")
    change = prepare(Settings(), serving, Settings(devices=(entry,)))
    assert (change.live, change.restart, change.settings.devices) == (("devices",), (), (entry,))
    with pytest.raises(SettingsError, match=r"devices.0.format: mapping needs"):
        prepare(Settings(), serving, Settings(devices=(DeviceEntry(match="a", format="mapping"),)))


def test_another_precision_loads_the_bundle_again() -> None:
    change = prepare(Settings(), load(), Settings(model=ModelSection(precision="fp32")))
    assert change.classifier is not None
    assert change.live == ("model.precision",)


def test_what_takes_effect_live_are_settings() -> None:
    assert set(flat(Settings())) >= LIVE
