"""A real mosquitto that tests can stop, kill, reconfigure and start again."""

from __future__ import annotations

import signal
from pathlib import Path

from hard.commands.processes import MosquittoProcess, free_port


class Mosquitto(MosquittoProcess):
    """mosquitto that logs each packet and, unlike the one that HARD recommends, keeps its own limits."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, (), verbose=True)

    def acknowledgements(self, client_id: str) -> int:
        """How many messages this client has acknowledged, over all starts."""
        return self.log.count(f"Received PUBACK from {client_id} ")

    def reconfigure(self, *lines: str) -> None:
        """Starts again with these lines added to its configuration."""
        self.stop()
        self.config += lines
        self.start()

    def with_websockets(self) -> str:
        """Starts again with a WebSocket listener beside the other; its URL."""
        port = free_port()
        self.reconfigure(f"listener {port} {self.host}", "protocol websockets")
        self.wait_for_port(port)
        return f"ws://{self.host}:{port}/mqtt"

    def stop(self, *, kill: bool = False) -> None:
        """Ends the broker, by SIGKILL where `kill`; does nothing where it is stopped already."""
        self.end(signal.SIGKILL if kill else signal.SIGTERM)
