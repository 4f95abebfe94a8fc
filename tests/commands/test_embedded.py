"""The embedded broker: a client talks to it, and it ends with its standard input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hard.commands.processes import EmbeddedBroker, free_port, listens, wait_until
from hard.mqtt.simple_client import SimpleClient

embedded = pytest.importorskip("hard.commands.embedded", reason="the embedded broker is in the extra `demo`")


def test_a_message_goes_through_it(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker, SimpleClient(broker.address, ("there",)) as client:
        client.publish("there", b"1")
        assert client.received.get(timeout=60) == ("there", b"1")


def test_it_ends_with_its_standard_input() -> None:
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", embedded.__name__, str(port)], stdin=subprocess.PIPE) as process:
        wait_until(lambda: listens(port), "it does not answer", 60)
        assert process.stdin
        process.stdin.close()
        assert process.wait(60) == 0
