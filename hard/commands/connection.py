"""Which broker a command connects to: the one of `--broker`, else the daemon's in `--config`, else the local one."""

from __future__ import annotations

import argparse

from hard.commands.arguments import LOCAL_BROKER, SENSOR_TOPIC, sensor_topic
from hard.mqtt.broker_address import BrokerAddress, parse_address
from hard.settings import Settings, load


def settings_of(args: argparse.Namespace) -> Settings | None:
    """The daemon's settings; None without `--config`. Raises SettingsError."""
    return load(args.config) if args.config else None


def address_of(args: argparse.Namespace) -> BrokerAddress:
    """Where to connect: from the daemon's settings with its user, password and certificates. Raises HardError."""
    from hard.daemon import wiring  # noqa: PLC0415  (the daemon's parts are slow to import)

    settings = None if args.broker else settings_of(args)
    return wiring.session_options(settings).address if settings else parse_address(args.broker or LOCAL_BROKER)


def topic_of(args: argparse.Namespace) -> str:
    """The topic to send to: of `--topic`, else the first of the daemon's that names one for each device."""
    if args.topic:
        return str(args.topic)
    settings = settings_of(args)
    for topic in settings.ingest.topics if settings else ():
        try:
            return sensor_topic(topic)
        except argparse.ArgumentTypeError:
            continue
    return SENSOR_TOPIC
