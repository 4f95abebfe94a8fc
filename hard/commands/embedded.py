"""A small MQTT broker in a process of its own, for the demo: `python -m hard.commands.embedded PORT`.

amqtt on the loopback interface, anonymous, MQTT 3.1.1, unbounded queues: for demo and quick tests only. It ends when
its standard input ends, so it never outlives the process that started it.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from amqtt.broker import Broker

HOST = "127.0.0.1"


async def serve(port: int) -> None:
    """Serves until standard input ends."""
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    await asyncio.to_thread(sys.stdin.buffer.read)
    await broker.shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(serve(int(sys.argv[1])))
