"""Where a broker is and how to log in there: transport, host, port, user and password, TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from hard.errors import UsageError

Transport = Literal["tcp", "websockets", "unix"]
WEBSOCKET_PATH = "/mqtt"
SCHEMES: dict[str, tuple[Transport, int]] = {  # of URLs, with the default port
    "mqtt": ("tcp", 1883), "mqtts": ("tcp", 8883), "ws": ("websockets", 80), "wss": ("websockets", 443),
    "unix": ("unix", 1883),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """An address with what a client shows there; `tls` is None for a plain connection. `path` is for WebSockets; of a
    Unix socket `host` is the path, and `port` says nothing."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    transport: Transport = "tcp"
    path: str = WEBSOCKET_PATH

    def __str__(self) -> str:
        if self.transport == "unix":
            return self.host
        return f"{self.host}:{self.port}" + self.path * (self.transport == "websockets")


def parse_address(url: str) -> BrokerAddress:
    """Reads `mqtt://[user[:password]@]host[:port]`, `mqtts://…`, `ws://host[:port][/path]`, `wss://…` or `unix:/path`.
    Raises UsageError, without the password in it."""
    try:
        parts = urlsplit(url if "//" in url or url.startswith("unix:") else f"mqtt://{url}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    transport, default_port = SCHEMES.get(parts.scheme, ("tcp", 0))
    own_path = parts.path if parts.path != "/" else ""
    if not default_port or port == 0 or (transport == "tcp" and own_path) or not (own_path or parts.hostname):
        raise UsageError(
            "a broker is written mqtt://[user[:password]@]host[:port], or mqtts:// for TLS, ws://host[:port][/path] or "
            "wss:// for WebSockets, unix:/path for a socket on this machine"
        )
    username, password = (unquote(part) if part is not None else None for part in (parts.username, parts.password))
    tls = tls_context() if parts.scheme in ("mqtts", "wss") else None
    if transport == "unix":
        return BrokerAddress(own_path, default_port, transport=transport)
    return BrokerAddress(
        parts.hostname or "", port or default_port, username, password, tls, transport, own_path or WEBSOCKET_PATH
    )


def tls_context(
    ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """TLS 1.2 or later: checks the broker's certificate against `ca_file`, else the system's authorities, and shows
    our own where there is one. Raises UsageError that names the setting whose file can't be used."""
    for name, path in (("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)):
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise UsageError(f"mqtt.{name}: {path} can't be read: {error.strerror}") from error
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except ssl.SSLError as error:
        raise UsageError(f"mqtt.ca_file: {ca_file} is not a certificate: {error.reason}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if cert_file and key_file:
            context.load_cert_chain(cert_file, key_file)
    except ssl.SSLError as error:
        raise UsageError(f"mqtt.cert_file, mqtt.key_file: not a certificate and its key: {error}") from error
    return context
