"""Where a broker is and how to log in there: host, port, user and password, TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hard.errors import UsageError


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A TCP address with what a client shows there; `tls` is None for a plain connection."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_address(url: str) -> BrokerAddress:
    """Reads `mqtt://[user[:password]@]host[:port]` or `mqtts://…`. Raises UsageError, without the password in it."""
    try:
        parts = urlsplit(url if "//" in url else f"mqtt://{url}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or port == 0 or parts.path not in ("", "/"):
        raise UsageError("a broker is written mqtt://[user[:password]@]host[:port], or mqtts:// for TLS")
    tls = parts.scheme == "mqtts"
    username, password = (unquote(part) if part is not None else None for part in (parts.username, parts.password))
    port = port or (8883 if tls else 1883)
    return BrokerAddress(parts.hostname, port, username, password, tls_context() if tls else None)


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
