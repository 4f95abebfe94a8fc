"""All settings with their defaults and bounds, one nested model a subject; the only place with defaults.

Command line > environment `HARD_SECTION__NAME` > TOML file > defaults. The parts of the daemon get plain values from
`daemon/wiring`. The tables in hard/SETTINGS.md are tested against these models.
"""

from __future__ import annotations

import json
import os
import re
import socket
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as UnreadableError

from hard.errors import HardError
from hard.setting_errors import sentence
from hard.setting_types import (
    LONGEST_BYTES,
    AxesOrder,
    Host,
    MappingPaths,
    MqttText,
    Port,
    Positive,
    SecretPath,
    Share,
    Threshold,
    is_text,
    resolvable,
    sendable,
    socket_path,
)

ENVIRONMENT = "HARD_"
LONGEST_PREFIX_BYTES = LONGEST_BYTES - 1024  # a topic has a device's or an instance's name too, and a level


class SettingsError(HardError):
    """A setting that can't be used; the message is one sentence that names it."""

    exit_code = 2


def default_state_dir() -> Path:
    """$STATE_DIRECTORY (systemd), else $XDG_STATE_HOME/hard, else ~/.local/state/hard."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "hard"
    except RuntimeError:  # a user without a home
        return Path("/var/lib/hard")


class Section(BaseModel):
    """Base of the sections: unknown names are refused, and text must be fit to be shown and to be part of a path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        if isinstance(value, str | Path) and not is_text(str(value)):
            raise ValueError("must be UTF-8 text without NUL")
        return value


Format = Literal["json", "csv", "msgpack", "cbor", "senml", "sensorlogger", "phyphox", "int16", "mapping"]
Unit = Literal["m/s2", "g"]
Place = Annotated[str, Field(max_length=64)]
DeviceClock = Literal["unix", "uptime", "arrival"]
Epoch = Annotated[int, Field(ge=1970, le=2100)]


class MqttSection(Section):
    """The broker, and the session with it."""

    transport: Literal["tcp", "websockets", "unix"] = "tcp"
    host: Annotated[str, Field(min_length=1)] = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    path: Annotated[MqttText, Field(pattern="^/[^ ]*$")] = "/mqtt"
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    client_id: Annotated[MqttText, Field(max_length=128)] = ""
    username: MqttText = ""
    password: SecretStr = SecretStr("")
    password_file: SecretPath | None = None
    tls: bool = False
    ca_file: SecretPath | None = None
    cert_file: SecretPath | None = None
    key_file: SecretPath | None = None
    keepalive_s: Annotated[int, Field(ge=5, le=65535)] = 60
    reconnect_max_s: Positive = 30.0
    session_expiry_s: Annotated[int, Field(ge=0, le=2**32 - 1)] = 86_400
    max_inflight: Annotated[int, Field(ge=1, le=32_767)] = 1000  # half of MQTT's packet ids
    max_outbox: Annotated[int, Field(ge=1)] = 20_000

    @field_validator("host")
    @classmethod
    def _is_address(cls, host: str, info: ValidationInfo) -> str:
        return socket_path(host) if info.data.get("transport") == "unix" else resolvable(host)

    @model_validator(mode="after")
    def _belongs_together(self) -> MqttSection:
        if self.tls and self.transport == "unix":
            raise ValueError("a Unix socket has no tls")
        if self.path != "/mqtt" and self.transport != "websockets":
            raise ValueError("path needs transport = websockets")
        if self.password.get_secret_value() and self.password_file:
            raise ValueError("password and password_file can't both be set")
        if (self.password.get_secret_value() or self.password_file) and not self.username:
            raise ValueError("a password needs a username")
        if (self.cert_file or self.key_file or self.ca_file) and not self.tls:
            raise ValueError("ca_file, cert_file and key_file need tls = true")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file belong together")
        return self


class IngestSection(Section):
    """Incoming messages: topics, payloads, clocks, bounds."""

    topics: Annotated[tuple[str, ...], Field(min_length=1)] = ("sensors/{device}/accel",)
    place: Place = "any"
    format: Format = "json"
    mapping: MappingPaths = None
    unit: Unit = "m/s2"
    scale: Positive | None = None
    axes: AxesOrder = "x,y,z"
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    clock: DeviceClock = "unix"
    epoch: Epoch = 1970
    rate_hz: Positive | None = None
    max_gap_s: Positive = 1.0
    reorder_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    max_devices: Annotated[int, Field(ge=1)] = 10_000
    max_payload_bytes: Annotated[int, Field(ge=64)] = 65_536
    max_queued_messages: Annotated[int, Field(ge=1)] = 10_000
    max_rate_hz: Positive = 1000.0
    max_abs_ms2: Positive = 320.0
    silent_after_s: Positive = 60.0
    forget_after_s: Positive = 86_400.0

    @field_validator("topics")
    @classmethod
    def _has_device(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in map(sendable, topics):
            *front, last = levels = topic.split("/")
            others = [level for level in levels if level != "{device}"]
            if len(others) < len(levels) - 1 or any("{device}" in level for level in others):
                raise ValueError(f"{topic!r} must have {{device}} as one whole level, or not at all")
            if any(set(level) & set("+#") and level != "+" for level in front) or (
                set(last) & set("+#") and len(last) > 1
            ):
                raise ValueError(f"{topic!r} is not an MQTT topic filter")
            if levels[0] == "$share" and (len(levels) < 3 or levels[1] in ("", "+", "{device}")):
                raise ValueError(f"{topic!r} must be $share/GROUP/TOPIC")
        return topics


class DeviceEntry(Section):
    """An entry of `[[devices]]`: what holds for the devices that `match`, instead of the settings of `ingest`."""

    match: Annotated[str, Field(min_length=1)]
    place: Place | None = None
    format: Format | None = None
    mapping: MappingPaths = None
    unit: Unit | None = None
    clock: DeviceClock | None = None
    epoch: Epoch | None = None
    rate_hz: Positive | None = None
    scale: Positive | None = None
    axes: AxesOrder | None = None


class LabelsSection(Section):
    """From windows to labels, and from labels to a state."""

    hop_s: Positive = 1.0
    min_coverage: Share = 0.8
    min_confidence: Threshold = "bundle"
    min_familiar: Threshold = "bundle"
    smoothing: Literal["filter", "majority"] = "filter"
    lag_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    smooth_windows: Annotated[int, Field(ge=1, le=1000)] = 5


class ModelSection(Section):
    """The bundle, its backend, and the bounds of the windows that wait for it."""

    bundle: Path | None = None
    backend: Literal["onnx", "torch"] = "onnx"
    precision: Literal["bundle", "fp32", "int8"] = "bundle"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    max_batch: Annotated[int, Field(ge=1, le=4096)] = 128
    max_age_s: Positive = 30.0
    max_pending_per_device: Annotated[int, Field(ge=1)] = 64
    max_pending: Annotated[int, Field(ge=1)] = 50_000


class PublishSection(Section):
    """Outgoing messages."""

    prefix: MqttText = "hard"
    qos: Literal[0, 1] = 1
    expiry_s: Annotated[float, Field(ge=1, le=2**32 - 1)] = 86_400.0
    health_every_s: Positive = 60.0
    homeassistant: bool = False

    @field_validator("prefix")
    @classmethod
    def _is_topic(cls, prefix: str) -> str:
        if not prefix or prefix.startswith(("/", "$")) or prefix.endswith("/") or set(prefix) & set("+#"):
            raise ValueError("must be a topic without wildcards, a leading $ or outer slashes")
        if len(prefix.encode()) > LONGEST_PREFIX_BYTES:
            raise ValueError(f"must be at most {LONGEST_PREFIX_BYTES} bytes long")
        return prefix


class MetricsSection(Section):
    """The Prometheus endpoint; port 0 takes any free one and logs it."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Port = 9109


class StateSection(Section):
    """The files that outlive the process."""

    dir: Path = Field(default_factory=default_state_dir, validate_default=True)
    durability: Literal["journal", "snapshot", "none"] = "journal"
    synchronous: Literal["normal", "full"] = "normal"


class Settings(BaseSettings):
    """All settings. `instance` is the name of one of several daemons on a machine."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$", max_length=64)] = ""
    grace_s: Annotated[float, Field(ge=0, le=86_400)] = 10.0
    stuck_after_s: Positive = 30.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    mqtt: MqttSection = MqttSection()
    ingest: IngestSection = IngestSection()
    devices: tuple[DeviceEntry, ...] = ()
    labels: LabelsSection = LabelsSection()
    model: ModelSection = ModelSection()
    publish: PublishSection = PublishSection()
    metrics: MetricsSection = MetricsSection()
    state: StateSection = Field(default_factory=StateSection)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def client_id(self) -> str:
        """The same over restarts: the broker keeps the session under it."""
        own = f"hard-{socket.gethostname()}" + (f"-{self.instance}" if self.instance else "")
        return self.mqtt.client_id or own

    @property
    def own_topic(self) -> str:
        """Where the daemon publishes its own status and health: `hard`, or `hard/@name` for a named instance."""
        return f"{self.publish.prefix}/@{self.instance}" if self.instance else self.publish.prefix

    def password(self) -> str | None:
        """The broker password, from its file where one is set. Raises SettingsError."""
        file = self.mqtt.password_file
        where = f"mqtt.password_file: {file}" if file else "mqtt.password: it"
        try:
            password = file.read_text("utf-8").rstrip("\r\n") if file else self.mqtt.password.get_secret_value()
            size = len(password.encode())
        except OSError as error:
            raise SettingsError(f"{where} can't be read: {error.strerror}") from error
        except UnicodeError as error:
            raise SettingsError(f"{where} is not UTF-8 text") from error
        if file and not password:
            raise SettingsError(f"{where} is empty")
        if size > LONGEST_BYTES:
            raise SettingsError(f"{where} must be at most {LONGEST_BYTES} bytes")
        return password or None


def load(config: Path | None = None, overrides: Sequence[str] = ()) -> Settings:
    """Settings from `config` (TOML), the environment and `overrides` (`section.name=value`). Raises SettingsError."""
    if config is not None:
        _check_toml(config)
    _check_environment()

    class Loaded(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    try:
        return Loaded(**_parse(overrides))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)  # an input may be a secret
        raise SettingsError("; ".join(sentence(problem) for problem in problems)) from error
    except UnreadableError as error:
        name = re.search(r'field "(\w+)"', str(error))
        unread = f"{ENVIRONMENT}{name[1].upper()}…" if name else "a variable"
        lists = """lists and tables are JSON, such as HARD_INGEST__TOPICS='["sensors/{device}/accel"]'"""
        raise SettingsError(f"environment: {unread} can't be read; {lists}") from error


def _parse(overrides: Sequence[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        path = name.strip().split(".")
        if not equals or len(path) > 2 or not all(path):
            raise SettingsError(f"--set {name}: expected section.name=value")  # a value may be a secret
        value: Any = text
        if text.startswith(("[", "{")):
            with suppress(json.JSONDecodeError):  # a password may begin so
                value = json.loads(text)
        section = parsed
        if len(path) == 2:
            section = parsed.setdefault(path[0], {})
            if not isinstance(section, dict):
                raise SettingsError(f"--set {name}: {path[0]} is not a section")
        section[path[-1]] = value
    return parsed


def _check_toml(config: Path) -> None:
    try:
        tomllib.loads(config.read_text())
    except OSError as error:
        raise SettingsError(f"--config {config}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"--config {config}: not TOML: {error}") from error


def _check_environment() -> None:
    """Refuses a misspelt section or setting, which pydantic would pass over."""
    for name in os.environ:
        section, nested, _ = name.removeprefix(ENVIRONMENT).partition("__")
        if name.startswith(ENVIRONMENT) and section.lower() not in Settings.model_fields:
            what = "section" if nested else "setting"
            raise SettingsError(f"environment {name}: there is no {what} {section.lower()!r}")
