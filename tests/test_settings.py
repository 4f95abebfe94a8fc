"""Settings: the order of sources, and refusal by one sentence that names the setting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hard.settings import SettingsError, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("HARD_"):
            monkeypatch.delenv(name)


def test_defaults_serve_localhost() -> None:
    settings = load()
    assert (settings.mqtt.host, settings.mqtt.port) == ("localhost", 1883)
    assert settings.ingest.topics == ("sensors/{device}/accel",)
    assert settings.own_topic == "hard"


def test_command_line_beats_environment_beats_file_beats_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hard.toml"
    file.write_text('[mqtt]\nhost = "file"\nport = 1\nkeepalive_s = 7\n')
    monkeypatch.setenv("HARD_MQTT__HOST", "environment")
    monkeypatch.setenv("HARD_MQTT__PORT", "2")
    settings = load(file, ["mqtt.port=3"])
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.keepalive_s) == ("environment", 3, 7)
    assert settings.mqtt.max_inflight == 1000


def test_lists_are_json_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARD_INGEST__TOPICS", '["a/{device}"]')
    assert load().ingest.topics == ("a/{device}",)
    assert load(None, ['ingest.topics=["b/{device}/c", "{device}"]']).ingest.topics == ("b/{device}/c", "{device}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mqtt.port=0", "mqtt.port"),
        ("mqtt.port=many", "mqtt.port"),
        ("mqtt.hots=x", "mqtt.hots"),
        ("mqt.host=x", "mqt"),
        ("labels.min_coverage=1.5", "labels.min_coverage"),
        ("ingest.topics=[]", "ingest.topics"),
        ('ingest.topics=["{device}/{device}"]', "ingest.topics"),
        ("ingest.axes=x,y,y", "ingest.axes"),
        ("ingest.mapping={x", "ingest.mapping"),
        ('ingest.mapping={"x": "$.x"}', "ingest.mapping: needs a path of y, z"),
        ('ingest.mapping={"x": "$.x", "y": "$.y", "z": "$.z", "q": "$"}', "ingest.mapping: there is no 'q'"),
        ('devices=[{"format": "csv"}]', "devices.0.match"),
        ('devices=[{"match": "a", "topics": []}]', "devices.0.topics"),
        ('ingest.topics=["a/x{device}/b"]', "ingest.topics"),
        ('ingest.topics=["#/{device}"]', "ingest.topics"),
        ("publish.prefix=a/+", "publish.prefix"),
        ("instance=a/b", "instance"),
        ("state.durability=eternal", "state.durability"),
        ("mqtt.port", "section.name=value"),
        ("a.b.c=1", "section.name=value"),
        ("ingest.topics=[x", "ingest.topics"),
        ("mqtt.ca_file=/x", "mqtt"),
        ("mqtt.host=", "mqtt.host"),
        ("mqtt.session_expiry_s=4294967296", "mqtt.session_expiry_s"),
        ("grace_s=inf", "grace_s"),
        ('ingest.topics=["$share/{device}"]', "ingest.topics"),
        ('ingest.topics=["$share/{device}/accel"]', "ingest.topics"),
    ],
)
def test_a_bad_setting_is_named(override: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mqtt.host=a..b", "mqtt.host: must be a host name or an address"),
        ("mqtt.host=.a", "mqtt.host: must be"),
        ("mqtt.host=" + "a" * 64, "mqtt.host: must be"),
        ("mqtt.host=a b", "mqtt.host: must be"),
        ("mqtt.host=mqtt://broker", "mqtt.host: must be"),
        ("mqtt.host=127.0.0.1:1883", "mqtt.host: must be without a port: host = '127.0.0.1', port = 1883"),
        ("mqtt.host=broker.local:1883", "mqtt.host: must be without a port"),
        ("mqtt.host=[::1]", "mqtt.host: must be without brackets and port: ::1"),
        ("mqtt.host=[::1]:1883", "mqtt.host: must be without brackets and port: ::1"),
        ("mqtt.transport=udp", "mqtt.transport: must be tcp, websockets or unix"),
        ("mqtt.path=/ws", "mqtt: path needs transport = websockets"),
        ("mqtt.transport=unix", "mqtt.host: must be the absolute path of a socket"),
        ("metrics.host=a..b", "metrics.host: must be"),
        ("mqtt.username=" + "ü" * 32_768, "mqtt.username: must be at most 65535 bytes"),
        ("mqtt.username=\udcff", "mqtt.username: must be text without control characters"),
        ("mqtt.username=a\0", "mqtt.username: must be text"),
        ("mqtt.client_id=a\n", "mqtt.client_id: must be text"),
        ('ingest.topics=["a\\u0000/{device}"]', "ingest.topics: must be text"),
        ('ingest.topics=["{device}", "a\\t/{device}"]', "ingest.topics: must be text"),
        (f'ingest.topics=["{"a" * 65_530}/{{device}}"]', "ingest.topics: must be at most"),
        ("publish.prefix=\udcff", "publish.prefix: must be text"),
        ("publish.prefix=" + "a" * 65_000, "publish.prefix: must be at most"),
        ("state.dir=/tmp/\udcff", "state.dir: must be UTF-8 text without NUL"),
        ("model.bundle=a\0b", "model.bundle: must be UTF-8"),
    ],
)
def test_what_a_broker_or_the_system_would_choke_on_is_refused(override: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}") as caught:
        load(None, [override])
    assert "\n" not in str(caught.value)


def test_a_transport_has_its_own_host_and_path() -> None:
    assert load(None, ["mqtt.transport=unix", "mqtt.host=/run/m.sock"]).mqtt.host == "/run/m.sock"
    assert load(None, ["mqtt.transport=websockets", "mqtt.path=/ws"]).mqtt.path == "/ws"
    with pytest.raises(SettingsError, match="a Unix socket has no tls"):
        load(None, ["mqtt.transport=unix", "mqtt.host=/run/m.sock", "mqtt.tls=true"])
    with pytest.raises(SettingsError, match="must be the absolute path of a socket, of at most 107 bytes"):
        load(None, ["mqtt.transport=unix", "mqtt.host=/" + "a" * 107])


@pytest.mark.parametrize("host", ["::1", "fe80::1%eth0", "10.0.0.1", "gateway_7", "b.example.", "bücher.example"])
def test_hosts_that_can_be_asked_for(host: str) -> None:
    assert load(None, [f"mqtt.host={host}"]).mqtt.host == host


@pytest.mark.parametrize(("password", "message"), [("p" * 65_536, "at most 65535 bytes"), ("\udcff", "not UTF-8 text")])
def test_a_password_that_mqtt_cannot_carry_is_refused_unsaid(password: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(password.encode(errors="surrogateescape"))
    for given in (f"password={password}", f"password_file={tmp_path / 'password'}"):
        with pytest.raises(SettingsError, match=rf"^mqtt\.{given.partition('=')[0]}: .*{message}$") as caught:
            load(None, ["mqtt.username=u", f"mqtt.{given}"]).password()
        assert password not in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: can't be read"):
        load(tmp_path / "absent.toml")


def test_a_broken_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "hard.toml").write_text("[mqtt\n")
    with pytest.raises(SettingsError, match="not TOML"):
        load(tmp_path / "hard.toml")


def test_an_unknown_name_in_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "hard.toml").write_text("[mqtt]\nhots = 'x'\n")
    with pytest.raises(SettingsError, match=r"mqtt\.hots"):
        load(tmp_path / "hard.toml")


def test_a_misspelt_section_in_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARD_LOGLEVEL", "debug")
    with pytest.raises(SettingsError, match="HARD_LOGLEVEL: there is no setting"):
        load()
    monkeypatch.delenv("HARD_LOGLEVEL")
    monkeypatch.setenv("HARD_MQT__HOST", "x")
    with pytest.raises(SettingsError, match="HARD_MQT__HOST"):
        load()


def test_the_password_comes_from_its_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n")
    settings = load(None, ["mqtt.username=u", f"mqtt.password_file={tmp_path / 'password'}"])
    assert settings.password() == "geheim"
    shown = load(None, ["mqtt.username=u", "mqtt.password=geheim"])
    assert "geheim" not in shown.model_dump_json() + repr(shown)


def test_an_unreadable_password_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"mqtt\.password_file"):
        load(None, ["mqtt.username=u", f"mqtt.password_file={tmp_path / 'absent'}"]).password()


def test_an_instance_has_its_own_client_and_topics() -> None:
    settings = load(None, ["instance=north", "publish.prefix=plant/hard"])
    assert settings.client_id.endswith("-north")
    assert settings.own_topic == "plant/hard/@north"


def test_the_state_directory_is_the_service_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/hard:/elsewhere")
    assert load().state.dir == Path("/var/lib/hard")


def test_what_systemd_gave_is_found_in_its_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("secret\n")
    given = ("mqtt.username=u", "mqtt.password_file=$CREDENTIALS_DIRECTORY/password")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load(overrides=given).password() == "secret"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(SettingsError, match=r"password_file.*CREDENTIALS_DIRECTORY is not set"):
        load(overrides=given)


def test_an_empty_password_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("\n")  # what systemd gives where there is none
    settings = load(overrides=("mqtt.username=u", f"mqtt.password_file={tmp_path}/password"))
    with pytest.raises(SettingsError, match="is empty"):
        settings.password()


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARD_DEVICES", '[{"match": "a", "unit": "g"}]')
    monkeypatch.setenv("HARD_INGEST__MAPPING", "movesense")
    settings = load()
    assert (settings.devices[0].unit, settings.ingest.mapping) == ("g", "movesense")
    monkeypatch.setenv("HARD_DEVICES", "a")
    with pytest.raises(SettingsError, match=r"^environment: HARD_DEVICES… can't be read; lists and tables are JSON"):
        load()
