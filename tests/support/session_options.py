"""Options of a session on a test's broker."""

from __future__ import annotations

from typing import Any

from hard.mqtt.broker_address import BrokerAddress
from hard.mqtt.session import SessionOptions


def session_options(port: int, **changes: Any) -> SessionOptions:
    """A session that reconnects soon; `address` and any other option may be changed."""
    options = {
        "address": BrokerAddress("127.0.0.1", port), "client_id": "test-session", "protocol": "3.1.1",
        "keepalive_s": 60, "reconnect_max_s": 0.3, "session_expiry_s": 86_400, "max_inflight": 1000,
        "max_outbox": 20_000, "max_incoming": 100,
    }  # fmt: skip
    return SessionOptions(**{**options, **changes})
