"""`hard check-config`: the effective settings, or what `hard run` would refuse."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from hard.commands.check_config import main
from hard.errors import HardError


def test_it_prints_the_settings_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["mqtt.port=1999", "log_level=debug", "mqtt.username=u", "mqtt.password=secret"]
    assert main(Namespace(config=None, overrides=overrides)) == 0
    printed = capsys.readouterr().out
    assert "secret" not in printed
    settings = json.loads(printed)
    assert (settings["mqtt"]["port"], settings["log_level"]) == (1999, "debug")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["mqtt.tls=true", "mqtt.ca_file=/absent"], "mqtt.ca_file: /absent can't be read"),
        (["model.bundle=/absent"], "/absent is not a folder"),
        (["ingest.max_gap_s=1e9"], "labels, ingest: max_gap_s must be"),
    ],
)
def test_it_refuses_what_run_would_refuse(overrides: list[str], sentence: str) -> None:
    with pytest.raises(HardError, match=sentence):
        main(Namespace(config=None, overrides=overrides))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(HardError, match="--config /absent: can't be read"):
        main(Namespace(config=Path("/absent"), overrides=[]))
