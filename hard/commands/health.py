"""`hard health`: whether a daemon is healthy, from its own messages on the broker: one screen, and an exit code."""

from __future__ import annotations

import argparse
import queue
import time
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from hard.daemon import wiring
from hard.errors import CommandError
from hard.monitoring.accounting import MessageCounters, SampleCounters, WindowCounters
from hard.monitoring.health import Health
from hard.mqtt.broker_address import BrokerAddress
from hard.mqtt.simple_client import SimpleClient
from hard.settings import Settings, load

ANSWER_S = 5.0  # retained messages come at once; a daemon that has just started needs a moment
OVERDUE = 2.5  # health records that may be missing before the daemon counts as silent


class Verdict(msgspec.Struct):
    """What `--json` prints. A daemon without `problems` is healthy; each is a sentence."""

    healthy: bool
    problems: list[str]
    status: str | None = None
    health: Health | None = None


def main(args: argparse.Namespace) -> int:
    """Exit code 0 when healthy, 1 when not or when the broker can't be asked, 2 on bad settings."""
    settings = load(args.config, args.overrides)
    address = wiring.session_options(settings).address
    try:
        found = query(address, settings)
    except CommandError as failure:
        found = Verdict(False, [str(failure)])
    print(msgspec.json.encode(found).decode() if args.json else "\n".join(screen(found, time.time())))
    return 0 if found.healthy else 1


def query(address: BrokerAddress, settings: Settings) -> Verdict:
    """The verdict from the retained status and health; waits up to ANSWER_S for a daemon that has just started."""
    until = time.monotonic() + ANSWER_S
    status, health, found = None, None, assess(None, None, time.time())
    for topic, payload in retained(address, settings.own_topic, until):
        if topic.endswith("/status"):
            status = payload.decode(errors="replace")
        else:
            health = payload
        found = assess(status, health, time.time())
        if found.healthy or (status == "offline" and health is not None):
            break
    return found


def assess(status: str | None, payload: bytes | None, now: float) -> Verdict:
    """Status, health payload and the Unix time → verdict."""
    if status is None:
        return Verdict(False, ["no daemon has published its status on this broker under this name"])
    if status != "online":
        return Verdict(False, [f"the daemon is {status}"], status)
    if payload is None:
        return Verdict(False, ["the daemon is online and has not published its health"], status)
    try:
        health = msgspec.json.decode(payload, type=Health)
    except msgspec.MsgspecError as error:
        return Verdict(False, [f"the health record is of another version: {error}"], status)
    problems = list(health.problems)
    if (age_s := now - health.at) > OVERDUE * health.every_s:
        problems.insert(
            0, f"the daemon's last health record is {age_s:.0f} s old, though one is due every {health.every_s:g} s"
        )
    return Verdict(not problems, problems, status, health)


def retained(address: BrokerAddress, own_topic: str, until: float) -> Iterator[tuple[str, bytes]]:
    """The daemon's own messages until the monotonic time `until`. Raises CommandError where it can't connect."""
    topics = (f"{own_topic}/status", f"{own_topic}/health")
    with SimpleClient(address, topics, connect_s=until - time.monotonic()) as client, suppress(queue.Empty):
        while (left_s := until - time.monotonic()) > 0:
            yield client.received.get(timeout=left_s)


def screen(found: Verdict, now: float) -> Iterator[str]:
    """The lines of the verdict for people, at the Unix time `now`."""
    yield "healthy" if found.healthy else "unhealthy: " + "; ".join(found.problems)
    if (h := found.health) is None:
        return
    hours, seconds = divmod(h.uptime_s, 3600)
    ms = ["–" if s is None else f"{s * 1000:.1f} ms" for s in (h.latency_s.p50, h.latency_s.p99)]
    yield f"{'version':10}{h.version}, model {h.model}" + (f", instance {h.instance}" if h.instance else "")
    yield f"{'updated':10}{now - h.at:.0f} s ago"
    yield f"{'up':10}{hours:.0f} h {seconds // 60:.0f} min, {h.rss_bytes / 1e6:.0f} MB"
    yield f"{'devices':10}{h.devices.active} of {h.devices.known} active"
    if h.device_problems.counts:
        kinds = ", ".join(f"{n} {kind}" for kind, n in h.device_problems.counts.items())
        yield f"{'problems':10}{kinds}; worst: {', '.join(h.device_problems.worst)}"
    yield f"{'a second':10}{h.rates.messages:.1f} messages, {h.rates.samples:.1f} samples, {h.rates.labels:.1f} labels"
    yield f"{'waiting':10}{h.queues.messages} messages, {h.queues.windows} windows, {h.queues.outbox} for the broker"
    yield f"{'latency':10}p50 {ms[0]}, p99 {ms[1]}"
    for name in ("messages", "samples", "windows"):
        yield f"{name:10}{counted(getattr(h.accounting, name))}"


def counted(counts: MessageCounters | SampleCounters | WindowCounters) -> str:
    """The counters that are not zero."""
    nonzero = {name: n for name, n in msgspec.structs.asdict(counts).items() if n}
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in nonzero.items()) or "none yet"
