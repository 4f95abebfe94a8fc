"""Recognises a message that the broker sends again because it missed the acknowledgement. Knows no payload formats.

A device that sends times needs no help: the same samples are duplicates. One that sends none would have them twice.
"""

from __future__ import annotations

from collections import OrderedDict

from hard.records import Message

MAX_PACKET_IDS = 10_000  # more than a broker has in flight


class Redeliveries:
    """Remembers the last message of each packet id, for at most MAX_PACKET_IDS."""

    def __init__(self) -> None:
        self._last: OrderedDict[int, int] = OrderedDict()

    def seen(self, message: Message) -> bool:
        """Whether `message` was seen before: it is marked as sent again, and is the last one that came under its id."""
        if not message.qos:
            return False
        digest = hash((message.topic, message.payload))
        before = self._last.pop(message.mid, None)
        self._last[message.mid] = digest
        if len(self._last) > MAX_PACKET_IDS:
            self._last.popitem(last=False)
        return message.dup and before == digest
