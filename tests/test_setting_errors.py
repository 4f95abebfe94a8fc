"""Why a setting is refused, in plain words."""

from __future__ import annotations

import re

import pytest

from hard.setting_errors import sentence
from hard.settings import SettingsError, load

JARGON = re.compile(r"input|valid|tuple|instance of|pydantic|class |string|parse|item|dictionary|boolean|\^")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("mqtt.port=many", "mqtt.port: must be a whole number"),
        ("mqtt.port=1.5", "mqtt.port: must be a whole number"),
        ("mqtt.port=0", "mqtt.port: must be at least 1"),
        ("mqtt.port=99999", "mqtt.port: must be at most 65535"),
        ("mqtt.tls=perhaps", "mqtt.tls: must be true or false"),
        ("mqtt.client_id=" + "x" * 129, "mqtt.client_id: must be at most 128 characters long"),
        ("mqtt.host=", "mqtt.host: must not be empty"),
        ("mqtt.password=[1]", "mqtt.password: must be text"),
        ("mqtt=5", "mqtt: must be a table"),
        ("ingest.topics=x", "ingest.topics: must be a list"),
        ("ingest.topics=[]", "ingest.topics: must not be empty"),
        (
            "ingest.format=xml",
            "ingest.format: must be json, csv, msgpack, cbor, senml, sensorlogger, phyphox, int16 or mapping",
        ),
        ("ingest.scale=[]", "ingest.scale: must be a number"),
        ("labels.hop_s=a", "labels.hop_s: must be a number"),
        ("labels.hop_s=0", "labels.hop_s: must be above 0"),
        ("instance=a/b", "instance: may only have letters, digits, _ . and -"),
        ("state.dir=[1]", "state.dir: must be a path"),
        ("devices={}", "devices: must be a list"),
        ("devices=[5]", "devices.0: must be a table"),
        ('devices=[{"unit": "g"}]', "devices.0.match: must be set"),
        ('devices=[{"match": "a", "unt": "g"}]', "devices.0.unt: there is no such setting"),
        ("mqtt.host=127.0.0.1:1883", "mqtt.host: must be without a port: host = '127.0.0.1', port = 1883"),
    ],
)
def test_a_refused_setting_is_one_plain_sentence(override: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, [override])
    assert str(caught.value).split("; ")[0] == expected
    assert not JARGON.search(str(caught.value))


def test_an_error_of_our_own_is_as_it_was_written() -> None:
    problem = {"loc": ("a", 0), "type": "value_error", "msg": "Value error, Must be 'this'", "ctx": {}}
    assert sentence(problem) == "a.0: must be 'this'"
