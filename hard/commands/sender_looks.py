"""What the daemon's own diagnosis would say of a sender, once its messages are read as the doctor proposes."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hard.commands.sender_facts import Facts
from hard.daemon.wiring import look_rules, make_decoder
from hard.formats.raw_samples import PayloadError
from hard.model.bundle import Bundle
from hard.motion.diagnosis import LOOK_S, MAX_SPACINGS
from hard.motion.looks import examine
from hard.records import Message, Samples
from hard.settings import DeviceEntry, Settings

LOOKED_FOR = ("no_gravity", "slow", "two_senders", "stuck", "clipped", "gaps", "shared_subscription")
OFTEN = 0.5  # of the looks


def look(facts: Facts, messages: Sequence[Message], settings: Settings, model: Bundle, held: dict[str, Any]) -> None:
    """Adds what `messages` show, read under `settings` with an entry that has what is `held` now and what `facts`
    propose."""
    entry = DeviceEntry(match="*", **(held | facts.entry))
    ingest = {"time_unit": facts.time_unit or settings.ingest.time_unit}
    changes = {"ingest": settings.ingest.model_copy(update=ingest), "devices": (entry, *settings.devices)}
    decoder = make_decoder(settings.model_copy(update=changes))
    samples = []
    for message in messages:
        try:
            samples.append(decoder.decode(message))
        except PayloadError:
            continue
    looks, values = 0, defaultdict[str, list[float]](list)
    for part, spacings in _parts(samples):
        looks += 1
        for kind, value in examine(part, spacings, look_rules(settings, model)).items():
            values[kind].append(value)
    known = {problem.kind for problem in facts.problems}
    for kind in LOOKED_FOR:
        if kind not in known and looks and len(values[kind]) >= OFTEN * looks:
            facts.told(kind, float(np.median(values[kind])))


def _parts(samples: Sequence[Samples]) -> Iterator[tuple[list[Samples], list[float]]]:
    """Messages of LOOK_S each, with the seconds a sample from one message to the next, as they are known then."""
    part: list[Samples] = []
    spacings: deque[float] = deque(maxlen=MAX_SPACINGS)
    before: tuple[float, int] | None = None
    for one in samples:
        if one.time is not None and len(one.xyz) > 1:
            first = float(one.time[0])
            if before is not None:
                spacings.append((first - before[0]) / before[1])
            before = first, len(one.xyz)
        part.append(one)
        if part[-1].received_at - part[0].received_at >= LOOK_S:
            yield part, list(spacings)
            part = []
