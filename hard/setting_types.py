"""Types of single settings: what a value may be, and how it is refused."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal
from unicodedata import category

from pydantic import AfterValidator, Field, PlainValidator

from hard.units import parse_axes

READY_MADE_MAPPINGS = ("sensorspot", "movesense", "edgeimpulse")
MAPPED = ("x", "y", "z", "t", "device", "samples", "rate", "where")
LONGEST_BYTES = 65_535  # of a string in MQTT (MQTT 5, 1.5.4)


def is_text(text: str) -> bool:
    """Whether `text` can be shown and be part of a path: UTF-8 without NUL."""
    return not any(character == "\0" or category(character) == "Cs" for character in text)


def given_by_systemd(path: Path) -> Path:
    """`$CREDENTIALS_DIRECTORY/name` as the path that systemd's LoadCredential gave; any other path as it is.

    Raises ValueError where the variable is not set."""
    if path.parts[:1] != ("$CREDENTIALS_DIRECTORY",):
        return path
    if not (folder := os.environ.get("CREDENTIALS_DIRECTORY")):
        raise ValueError(f"{path}: $CREDENTIALS_DIRECTORY is not set; systemd sets it where a unit has LoadCredential")
    return Path(folder, *path.parts[1:])


def sendable(text: str) -> str:
    """`text` where MQTT can carry it (MQTT 5, 1.5.4); mosquitto hangs up on control characters. Raises ValueError."""
    if any(category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("must be text without control characters")
    if len(text.encode()) > LONGEST_BYTES:
        raise ValueError(f"must be at most {LONGEST_BYTES} bytes long")
    return text


def resolvable(host: str) -> str:
    """`host` where a resolver takes it; on others `socket` raises UnicodeError. Raises ValueError."""
    name, colon, port = host.rpartition(":")
    if host.startswith("["):
        raise ValueError(f"must be without brackets and port: {host[1:].partition(']')[0]}")
    if colon and port.isdecimal() and ":" not in name:
        raise ValueError(f"must be without a port: host = {name!r}, port = {port}")
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError("must be a host name or an address") from error
    if re.search(r"[\0-\x20/]", host):
        raise ValueError("must be a host name or an address")
    return host


def threshold(value: object) -> float | Literal["bundle"]:
    """A share, or `bundle`: what the bundle recommends."""
    if value == "bundle":
        return "bundle"
    try:
        share = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError("must be a number from 0 to 1, or bundle")
    return share


def socket_path(path: str) -> str:
    """`path` where it can be one of a Unix socket (unix(7): at most 107 bytes). Raises ValueError."""
    if not path.startswith("/") or len(os.fsencode(path)) > 107:
        raise ValueError("must be the absolute path of a socket, of at most 107 bytes, where transport is unix")
    return path


def axes(text: str) -> str:
    """An order of x, y and z, each with a sign where it is turned round. Raises ValueError."""
    parse_axes(text)
    return text


def mapping(value: object) -> str | dict[str, object] | None:
    """A ready-made name, or a table of paths. Raises ValueError."""
    if value is None or (isinstance(value, str) and value in READY_MADE_MAPPINGS):
        return value
    if isinstance(value, str):
        with suppress(json.JSONDecodeError):
            value = json.loads(value)
    if not isinstance(value, dict):
        names = ", ".join(READY_MADE_MAPPINGS)
        raise ValueError(f'must be {names}, or a table of paths such as {{x = "$.accel.x", y = …}}')
    if unknown := [name for name in value if name not in MAPPED]:
        raise ValueError(f"there is no {unknown[0]!r} in it: its paths are {', '.join(MAPPED)}")
    if absent := [name for name in "xyz" if not value.get(name)]:
        raise ValueError(f"needs a path of {', '.join(absent)}")
    for name, path in value.items():
        if not isinstance(path, str) and not (name == "where" and isinstance(path, dict)):
            raise ValueError(f"{name} must be text")
    return value


Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
SecretPath = Annotated[Path, AfterValidator(given_by_systemd)]
MqttText = Annotated[str, AfterValidator(sendable)]
Host = Annotated[str, AfterValidator(resolvable)]
Threshold = Annotated[float | Literal["bundle"], PlainValidator(threshold)]
AxesOrder = Annotated[str, AfterValidator(axes)]
MappingPaths = Annotated[str | dict[str, object] | None, PlainValidator(mapping)]
