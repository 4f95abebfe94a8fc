"""Simulated wearers on a broker, in real time: each sends one message a second, spread over the second."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hard.formats.writers import WRITERS, Batch
from hard.mqtt.simple_client import SimpleClient
from hard.simulator import Wearer


@dataclass(slots=True)
class SentCounts:
    """What was sent; `behind_s` is the greatest delay of a message."""

    messages: int = 0
    samples: int = 0
    behind_s: float = 0.0


class Wearers:
    """`count` wearers named `{name}-1` and up, their clocks set to now, sending in a format of `WRITERS`. The same seed
    gives the same motions."""

    def __init__(
        self, count: int, *, name: str = "sim", rate_hz: float = 50.0, seed: int = 0, among: Sequence[str] = (),
        format: str = "json",  # noqa: A002
    ) -> None:  # fmt: skip
        self.rate_hz, self.counts, self._write = rate_hz, SentCounts(), WRITERS[format]
        self._begin, self._begin_wall = time.monotonic(), time.time()
        self.by_name = {
            f"{name}-{i + 1}": Wearer((seed, i), rate_hz, start=self._begin_wall + i / count, among=among)
            for i in range(count)
        }

    def publish(self, client: SimpleClient, topic: str, stop: threading.Event, seconds: float = float("inf")) -> None:
        """Publishes each second of every wearer when it is over, until `stop` is set or `seconds` have passed."""
        second = 0
        while second < seconds:
            n = int((second + 1) * self.rate_hz) - int(second * self.rate_hz)
            for i, (name, wearer) in enumerate(self.by_name.items()):
                wait_s = self._begin + second + 1 + i / len(self.by_name) - time.monotonic()
                if stop.wait(max(0.0, wait_s)):
                    return
                if n:
                    motion = wearer.take(n)
                    batch = Batch(motion.time, motion.xyz, self.rate_hz, name, self._begin_wall)
                    for payload in self._write(batch):
                        client.publish(topic.replace("{device}", name), payload)
                        self.counts.messages += 1
                    self.counts.samples += n
                    self.counts.behind_s = max(self.counts.behind_s, -wait_s)
            second += 1
