"""Settings become parts: each is built with what the settings say, and none of them runs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trustme

from hard.daemon import wiring
from hard.errors import HardError
from hard.model import bundle
from hard.mqtt.broker_address import BrokerAddress
from hard.outputs.state import MajoritySmoother, StateFilter
from hard.settings import Settings, SettingsError, load


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(None, [f"state.dir={tmp_path}", "mqtt.client_id=me", "publish.homeassistant=true"])


def test_building_starts_no_thread_and_opens_no_file(settings: Settings, tmp_path: Path) -> None:
    before = threading.active_count()
    parts = wiring.build(settings)
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []
    assert [parts.assemble_thread.is_alive(), parts.label_thread.is_alive(), parts.session.connected] == [
        False,
        False,
        False,
    ]


def test_gauges_and_metrics_are_those_of_the_parts(settings: Settings) -> None:
    parts = wiring.build(settings)
    gauges = wiring.gauges(settings, parts)
    assert (gauges.devices, gauges.pending, gauges.outbox, gauges.connected, gauges.journal) == (0, 0, 0, False, False)
    assert gauges.stalled_s == {"assemble": 0.0, "label": 0.0, "network": 0.0}
    assert 0 <= gauges.uptime_s < 60
    value = parts.registry.get_sample_value
    model = {"version": wiring.__version__, "model": parts.labeller.classifier.bundle.model, "backend": "onnx"}
    facts = wiring.model_facts(settings, parts.labeller.classifier)
    assert facts.info == {**facts.info, **model}
    assert value("hard_model_info", dict(facts.info)) == 1
    parts.accounting.received()
    assert value("hard_messages_received_total") == 1


def test_without_a_journal_there_is_no_gauge_for_it(settings: Settings, tmp_path: Path) -> None:
    snapshot = load(None, [f"state.dir={tmp_path}", "state.durability=snapshot"])
    assert wiring.gauges(snapshot, wiring.build(settings)).journal is None


def test_discovery_is_built_where_the_settings_ask_for_it(settings: Settings, tmp_path: Path) -> None:
    assert wiring.build(settings).discovery is not None
    assert wiring.build(load(None, [f"state.dir={tmp_path}"])).discovery is None


def test_home_assistant_hears_of_every_state(settings: Settings) -> None:
    facts = wiring.discovery_facts(wiring.load_bundle(settings))
    labels = ("Walking", "Jogging", "Upstairs", "Downstairs", "Sitting", "Standing")
    assert facts.states == (*labels, "on foot", "still", "unknown")


def test_devices_follow_the_rules_of_the_settings() -> None:
    settings = load(None, ["labels.hop_s=2", "ingest.max_gap_s=3", "labels.min_coverage=0.5", "ingest.max_rate_hz=100"])
    grid = wiring.make_devices(settings, bundle.read()).grid
    assert (grid.hop_s, grid.max_gap_s, grid.min_coverage, grid.max_rate_hz) == (2.0, 3.0, 0.5, 100.0)


def test_states_are_made_as_the_settings_ask() -> None:
    shipped = bundle.read()
    assert isinstance(wiring.make_smoother(load().labels, shipped), StateFilter)
    majority = load(None, ["labels.smoothing=majority"])
    assert isinstance(wiring.make_smoother(majority.labels, shipped), MajoritySmoother)


def test_a_grid_that_cannot_be_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="labels, ingest: hop_s"):
        wiring.make_grid(load(None, ["labels.hop_s=200000"]), bundle.read())


def test_the_bundle_is_loaded_as_the_settings_ask() -> None:
    classifier = wiring.load_bundle(load(None, ["model.precision=fp32"]))
    assert classifier.bundle.path == bundle.find()
    with pytest.raises(bundle.BundleError, match="nowhere"):
        wiring.load_bundle(load(None, ["model.bundle=/nowhere"]))


def test_the_session_is_as_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    made = wiring.session_options(
        load(
            None,
            [
                "mqtt.host=h", "mqtt.port=7", "mqtt.protocol=5", "mqtt.client_id=me", "mqtt.username=u",
                f"mqtt.password_file={tmp_path / 'password'}", "mqtt.keepalive_s=9", "ingest.max_queued_messages=11",
            ],
        )
    )  # fmt: skip
    assert made.address == BrokerAddress("h", 7, "u", "secret")
    assert (made.protocol, made.client_id, made.keepalive_s, made.max_incoming) == ("5", "me", 9, 11)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"ca_file": "absent"}, "mqtt.ca_file: .*absent can't be read"),
        ({"ca_file": "text"}, "mqtt.ca_file: .*text is not a certificate"),
        ({"cert_file": "cert", "key_file": "text"}, "mqtt.cert_file, mqtt.key_file: not a certificate and its key"),
    ],
)
def test_files_that_are_no_certificates_are_refused(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    (tmp_path / "text").write_text("no certificate")
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "cert"))
    overrides = [f"mqtt.{name}={tmp_path / file}" for name, file in files.items()]
    with pytest.raises(HardError, match=problem) as caught:
        wiring.session_options(load(None, ["mqtt.tls=true", *overrides]))
    assert caught.value.exit_code == 2
