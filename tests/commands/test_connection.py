"""`--config` of the commands that connect: the daemon's broker, user, password file, CA, topics and prefix."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from support.guarded import Client, guard
from support.listener import eventually
from support.mosquitto import Mosquitto

from hard import cli
from hard.commands.connection import address_of, settings_of, topic_of
from hard.errors import HardError
from hard.mqtt.broker_address import BrokerAddress

COMMANDS = {
    "simulate": ("--seconds", "1"),
    "replay": ("{file}", "--speed", "0"),
    "watch": ("--seconds", "1"),
}


def options(broker: str | None = None, config: Path | None = None, topic: str | None = None) -> Namespace:
    return Namespace(broker=broker, config=config, topic=topic)


def test_broker_comes_before_config_before_the_local_one(tmp_path: Path) -> None:
    (tmp_path / "hard.toml").write_text('[mqtt]\nhost = "there"\n')
    assert address_of(options()) == BrokerAddress("localhost", 1883)
    assert address_of(options(config=tmp_path / "hard.toml")) == BrokerAddress("there", 1883)
    assert address_of(options("mqtt://here:7", tmp_path / "hard.toml")) == BrokerAddress("here", 7)
    assert settings_of(options()) is None
    with pytest.raises(HardError, match="--config /absent: can't be read"):
        address_of(options(config=Path("/absent")))


def test_samples_go_to_the_first_of_the_daemons_topics_that_names_a_device(tmp_path: Path) -> None:
    config = tmp_path / "hard.toml"
    config.write_text('[ingest]\ntopics = ["site/+/{device}", "in/{device}/acc"]\n')
    assert topic_of(options()) == "sensors/{device}/accel"
    assert topic_of(options(config=config)) == "in/{device}/acc"
    assert topic_of(options(config=config, topic="x/{device}")) == "x/{device}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reaches_a_broker_with_tls_and_passwords_by_the_daemons_settings(
    command: str, mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guard(mosquitto)
    (tmp_path / "password").write_text("observer-secret\n")
    config = tmp_path / "hard.toml"
    config.write_text(
        f'[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\nusername = "observer"\ntls = true\n'
        f'password_file = "{tmp_path}/password"\nca_file = "{mosquitto.folder}/certs/ca.pem"\n'
        '[publish]\nprefix = "own"\n[ingest]\ntopics = ["in/{device}"]\n'
    )
    walk = tmp_path / "walk.csv"
    walk.write_text("t,x,y,z\n" + "".join(f"{i / 20},0,9.8,0\n" for i in range(60)))
    arguments = [argument.format(file=walk) for argument in COMMANDS[command]]
    with Client(mosquitto, "observer") as observer:
        observer.subscribe("in/#")
        assert cli.main([command, *arguments, "--config", str(config)]) == 0
        if command == "watch":
            assert capsys.readouterr().err == "hard: no label on own/+/activity; `hard doctor` says what devices send\n"
        else:
            eventually(
                lambda: {topic for topic, _ in observer.came} == {"in/sim-1" if command == "simulate" else "in/walk"}
            )
    (tmp_path / "password").write_text("wrong\n")
    assert cli.main([command, *arguments, "--config", str(config)]) == 1
    assert "refuses the connection: Not authorized" in capsys.readouterr().err
