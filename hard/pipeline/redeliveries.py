"""Recognises a message that the broker sends again because it missed the acknowledgement. Knows no payload's meaning.

A device that sends times is safe by itself: the same samples come twice. One without would have them twice.
"""

from __future__ import annotations

from collections import OrderedDict

from hard.records import Message

MOST = 10_000  # more than a broker has in flight


class Redeliveries:
    """Remembers the last message of each packet id."""

    def __init__(self) -> None:
        self._last: OrderedDict[int, int] = OrderedDict()

    def seen(self, message: Message) -> bool:
        """Whether `message` was taken before: it is marked as sent again, and is what came last under its id."""
        if not message.qos:
            return False
        digest = hash((message.topic, message.payload))
        before = self._last.pop(message.mid, None)
        self._last[message.mid] = digest
        if len(self._last) > MOST:
            self._last.popitem(last=False)
        return message.again and before == digest
