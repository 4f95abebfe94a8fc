"""The types of single settings: what they take, and how they refuse the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from hard.setting_types import LONGEST_BYTES, given_by_systemd, is_text, resolvable, sendable


def test_text_has_no_nul_and_no_lone_surrogate() -> None:
    assert is_text("Walking, Gehen, 歩く")
    assert not is_text("a\0")
    assert not is_text("\udcff")


def test_what_mqtt_cannot_carry_is_refused() -> None:
    assert sendable("ü" * (LONGEST_BYTES // 2)) == "ü" * (LONGEST_BYTES // 2)
    for text, problem in (("a\n", "control characters"), ("\udcff", "control"), ("ü" * LONGEST_BYTES, "at most 65535")):
        with pytest.raises(ValueError, match=problem):
            sendable(text)


def test_only_what_a_resolver_takes_is_a_host() -> None:
    assert resolvable("broker.example") == "broker.example"
    for host in ("a..b", "a b", "mqtt://broker"):
        with pytest.raises(ValueError, match="must be a host name or an address"):
            resolvable(host)


def test_a_path_may_lie_in_the_credentials_of_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/hard.service")
    inside = given_by_systemd(Path("$CREDENTIALS_DIRECTORY/password"))
    assert inside == Path("/run/credentials/hard.service/password")
    assert given_by_systemd(Path("/etc/password")) == Path("/etc/password")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(ValueError, match="is not set"):
        given_by_systemd(Path("$CREDENTIALS_DIRECTORY/password"))
