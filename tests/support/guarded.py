"""The broker as deploy/mosquitto makes it, and clients of it."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import trustme
from paho.mqtt.enums import CallbackAPIVersion

from hard.commands.processes import free_port
from support.listener import eventually
from support.mosquitto import Mosquitto

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "mosquitto"
ROLES = ("belt-7", "wrist-1", "hard", "reader")


def settings(folder: Path) -> list[str]:
    """hard.conf with its files in `folder` and WebSockets on a free port. Without its first listener: what follows
    belongs to the one that tests start with."""
    text = (DEPLOY / "hard.conf").read_text().replace("/etc/mosquitto/", f"{folder}/")
    assert "\nlistener 8883\n" in text
    lines = text.replace("listener 8884", f"listener {free_port()} 127.0.0.1").splitlines()
    return [line for line in lines if line and not line.startswith("#") and line != "listener 8883"]


def websocket_port(broker: Mosquitto) -> int:
    """Where a broker with these settings speaks WebSockets."""
    return next(int(line.split()[1]) for line in broker.config if line.startswith("listener"))


def passwords(file: Path, *names: str) -> None:
    """Users whose passwords are `{name}-secret`."""
    file.touch(mode=0o600)
    for name in names:
        subprocess.run(["mosquitto_passwd", "-b", file, name, f"{name}-secret"], check=True, timeout=60)


def guard(mosquitto: Mosquitto) -> None:
    """Starts it anew under hard.conf and hard.acl, with one more user, `observer`, that may do everything."""
    mosquitto.stop()
    folder = mosquitto.folder
    (folder / "certs").mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "certs/ca.pem")
    server = authority.issue_cert("127.0.0.1", "localhost")
    server.private_key_pem.write_to_path(folder / "certs/server.key")
    for n, pem in enumerate(server.cert_chain_pems):
        pem.write_to_path(folder / "certs/server.pem", append=n > 0)
    passwords(folder / "hard.passwords", *ROLES, "observer")
    (folder / "hard.acl").write_text((DEPLOY / "hard.acl").read_text() + "\nuser observer\ntopic readwrite #\n")
    mosquitto.config = settings(folder)
    mosquitto.start()


class Client:
    """A client by name, over TLS: what it received, and whether the broker let it in."""

    def __init__(self, broker: Mosquitto, name: str, password: str | None = None, **options: Any) -> None:
        self.came: list[tuple[str, bytes]] = []
        self.answer: Any = None
        self.subscribed = 0
        self.client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False, **options)
        self.client.max_inflight_messages_set(1000)
        self.client.username_pw_set(name, password or f"{name}-secret")
        self.client.tls_set_context(ssl.create_default_context(cafile=str(broker.folder / "certs/ca.pem")))
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = lambda _, __, message: self.came.append((message.topic, bytes(message.payload)))
        self._where = (broker.host, broker.port)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.answer = reason

    def _on_subscribe(self, *_: Any) -> None:
        self.subscribed += 1

    def __enter__(self) -> Client:
        self.client.connect(*self._where)
        self.client.loop_start()
        eventually(lambda: self.answer is not None)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, *topics: str) -> None:
        before = self.subscribed
        for topic in topics:
            self.client.subscribe(topic, 1)
        eventually(lambda: self.subscribed == before + len(topics))

    def publish(self, topic: str, payload: str | bytes) -> None:
        """Returns when the broker has acknowledged, which it also does for what it drops."""
        self.client.publish(topic, payload, qos=1).wait_for_publish(60)
