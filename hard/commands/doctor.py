"""`hard doctor`: listens to a broker and says what each device sends, what is wrong, and the lines for hard.toml.

It disturbs no daemon: it has a client id and a clean session of its own, and joins no shared subscription.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from hard.commands import sender_lines
from hard.commands.connection import address_of
from hard.commands.progress import progress
from hard.commands.sender_checks import MIN_SAMPLES, examine
from hard.commands.sender_facts import Facts, Problem
from hard.commands.sender_looks import look
from hard.daemon.sender_settings import make_senders
from hard.errors import CommandError, UsageError
from hard.formats.guess import guess
from hard.formats.raw_samples import PayloadError
from hard.formats.topics import Topics, is_device_name, is_payload_name
from hard.model import bundle
from hard.mqtt.broker_address import BrokerAddress
from hard.mqtt.simple_client import SimpleClient
from hard.pipeline.sender_rules import SenderRules
from hard.records import Message
from hard.settings import Settings, load

MAX_MESSAGES, MAX_BYTES = 3000, 64 << 20  # kept of each topic, and of all
LEAST_MESSAGES = 3  # a topic that HARD isn't told of is shown from so many messages of samples on
LAST_LEVELS = ("accel", "acceleration", "accelerometer", "acc", "imu", "motion", "data", "raw", "sensor", "samples")


@dataclass(slots=True)
class Heard:
    """What came on one topic: messages, and how many retained ones before them."""

    messages: list[Message] = field(default_factory=list)
    retained: int = 0


@dataclass(slots=True)
class Sender:
    """One device's messages. `match` is what an entry of `[[devices]]` matches; `pattern` the topic to add, or None."""

    device: str
    match: str
    rules: SenderRules
    pattern: str | None = None
    messages: list[Message] = field(default_factory=list)
    retained: int = 0


def main(args: argparse.Namespace) -> int:
    """Exit code 0 where no device has a problem, 1 where one has or nothing was heard."""
    if args.write and args.config is None:
        raise UsageError("--write needs --config FILE")
    is_new = args.write and not args.config.exists()
    settings = load(None if is_new else args.config)
    address = address_of(argparse.Namespace(broker=args.broker, config=None if is_new else args.config))
    heard = listen(address, _filters(settings), args.seconds)
    found = diagnose(heard, settings, device=args.device)
    lines = sender_lines.propose(found, settings)
    if args.json:
        print(msgspec.json.encode(as_object(found, lines)).decode())
    else:
        print("\n".join(shown(found, lines, args.seconds)))
    if args.write and lines:
        said = sender_lines.write(args.config, lines, address if is_new else None)
        print(said, file=sys.stderr)
    return 1 if not found or any(facts.problems for facts, _ in found) else 0


def listen(address: BrokerAddress, filters: Sequence[str], seconds: float) -> dict[str, Heard]:
    """What comes within `seconds`, by topic: on all topics, or where the broker refuses that on the daemon's."""
    try:
        return _listen(address, ("#",), seconds)
    except CommandError as error:
        if "refuses the subscription" not in str(error):
            raise
        return _listen(address, tuple(filters), seconds)


def _listen(address: BrokerAddress, filters: tuple[str, ...], seconds: float) -> dict[str, Heard]:
    heard: defaultdict[str, Heard] = defaultdict(Heard)
    size = 0

    def take(topic: str, payload: bytes, retained: bool) -> None:
        nonlocal size
        own = heard[topic]
        if retained:
            own.retained += 1
        elif len(own.messages) < MAX_MESSAGES and size < MAX_BYTES:
            size += len(payload)
            own.messages.append(Message(topic, payload, time.monotonic(), time.time()))

    with SimpleClient(address, filters, on_message=take), progress("listening", seconds, prints=False) as advance:
        until, before = time.monotonic() + seconds, time.monotonic()
        while (now := time.monotonic()) < until:
            time.sleep(min(0.25, until - now))
            advance(time.monotonic() - before)
            before = time.monotonic()
    return dict(heard)


def _filters(settings: Settings) -> list[str]:
    """The daemon's topic filters. One that is shared would take messages from it, so the plain one stands in."""
    topics = [topic.split("/", 2)[2] if topic.startswith("$share/") else topic for topic in settings.ingest.topics]
    return Topics(topics).filters()


def diagnose(
    heard: Mapping[str, Heard], settings: Settings, *, device: str | None = None
) -> list[tuple[Facts, Sender]]:
    """The facts of each device that was heard, by name; only those of `device` where one is named."""
    model = bundle.read(settings.model.bundle)
    rate_hz = model.manifest.window.rate_hz
    senders: dict[tuple[str, str], Sender] = {}
    for topic, own in sorted(heard.items()):
        for part in _senders_of(topic, own, settings):
            kept = senders.setdefault((part.device, part.match), part)
            if kept is not part:
                kept.messages += part.messages
                kept.retained += part.retained
    found = []
    for sender in senders.values():
        if device is not None and device not in (sender.device, sender.match):
            continue
        sender.messages.sort(key=lambda message: message.received_at)
        facts = examine(sender.device, sender.messages, sender.retained, sender.rules, default_rate_hz=rate_hz)
        if facts.samples:
            topics = (*settings.ingest.topics, *((sender.pattern,) if sender.pattern else ()))
            read = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"topics": topics})})
            look(facts, sender.messages, read, model, sender_lines.held(sender.match, settings)[1])
        if sender.pattern is not None:
            facts.problems.insert(
                0,
                Problem(
                    "topic", f"HARD doesn't read its topic {facts.topic}", f"ingest.topics: add {sender.pattern!r}"
                ),
            )
        found.append((facts, sender))
    return sorted(found, key=lambda pair: pair[0].device)


def _senders_of(topic: str, own: Heard, settings: Settings) -> Iterator[Sender]:
    """The devices that send on one topic."""
    try:
        device, rules = make_senders(settings).by_topic(topic)
    except PayloadError:
        yield from _strays(topic, own, settings)
        return
    if device is not None:
        yield Sender(device, device, rules, None, list(own.messages), own.retained)
        return
    by_name: defaultdict[str, list[Message]] = defaultdict(list)
    for message in own.messages:
        by_name[_payload_name(message, rules) or topic].append(message)
    for name, messages in by_name.items():
        yield Sender(name, topic, rules, None, messages, own.retained)
    if own.retained and not by_name:
        yield Sender(topic, topic, rules, None, [], own.retained)


def _strays(topic: str, own: Heard, settings: Settings) -> Iterator[Sender]:
    """The device that sends samples on a topic which no setting names; none where it sends something else."""
    prefix = settings.publish.prefix
    if topic.startswith((f"{prefix}/", "homeassistant/", "$")) or len(own.messages) < LEAST_MESSAGES:
        return
    found = guess([message.payload for message in own.messages])
    samples = list(found.read.values()) if found else []
    if found is None or (not found.no_gravity and sum(len(raw.xyz) for raw in samples) < MIN_SAMPLES):
        return
    named = next((raw.device for raw in samples if raw.device and is_payload_name(raw.device)), None)
    device, pattern = (named, topic) if named else _named_by(topic)
    if not is_device_name(device):
        return
    ingest = settings.ingest.model_copy(update={"topics": (*settings.ingest.topics, pattern)})
    _, rules = make_senders(settings.model_copy(update={"ingest": ingest})).by_topic(topic)
    yield Sender(device, topic if named else device, rules, pattern, list(own.messages), own.retained)


def _named_by(topic: str) -> tuple[str, str]:
    """Which level of a topic names the device, as far as its words say, and the pattern with {device} in its place."""
    levels = topic.split("/")
    at = len(levels) - 2 if len(levels) > 1 and levels[-1].lower() in LAST_LEVELS else len(levels) - 1
    return levels[at], "/".join((*levels[:at], "{device}", *levels[at + 1 :]))


def _payload_name(message: Message, rules: SenderRules) -> str | None:
    read: Callable[[bytes], object] = rules.read
    try:
        name = getattr(read(message.payload), "device", None)
    except PayloadError:
        found = guess([message.payload])
        name = next((raw.device for raw in found.read.values()), None) if found else None
    return name if name and is_payload_name(name) else None


def as_object(found: Sequence[tuple[Facts, Sender]], lines: sender_lines.Lines) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "devices": [msgspec.to_builtins(facts) for facts, _ in found],
        "lines": lines.text(),
        "healthy": bool(found) and not any(facts.problems for facts, _ in found),
    }


def shown(found: Sequence[tuple[Facts, Sender]], lines: sender_lines.Lines, seconds: float) -> Iterator[str]:
    """The lines of the report for people."""
    if not found:
        yield f"no samples came in {seconds:g} s: is the broker the one that the sensors use, and are they switched on?"
        return
    for facts, _ in found:
        yield f"{facts.device} ({facts.topic}): {facts.messages} messages, {facts.samples} samples"
        for name, value in _rows(facts):
            yield f"  {name:9}{value}"
        for problem in facts.problems:
            mended = f" ({problem.setting})" if problem.setting else ""
            yield f"  PROBLEM  {problem.kind}: {problem.sentence}{mended}"
    if lines:
        yield from ("", "lines for hard.toml:", "", lines.text().rstrip("\n"))
    elif not any(facts.problems for facts, _ in found):
        yield "nothing is wrong"


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.format:
        yield "format", facts.format
    if facts.rate_hz:
        every = f", a message each {facts.message_s:.3g} s ± {facts.jitter_s:.2g} s" if facts.message_s else ""
        yield "rate", f"{facts.rate_hz:.4g} Hz{every}"
    if facts.unit:
        yield "unit", facts.unit
    if facts.gravity_ms2:
        yield "gravity", f"{facts.gravity_ms2:.2f} m/s², down is mostly along its {facts.down} axis"
    if facts.clock:
        offset = f", {facts.clock_offset_s:+.2f} s from here" if facts.clock_offset_s is not None else ""
        yield "clock", {"unix": "Unix times", "uptime": "since its start", "none": "none"}[facts.clock] + offset
    if facts.samples:
        yield "gaps", f"{facts.missing:.1%} of its time" if facts.missing else "none"
