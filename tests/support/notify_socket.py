"""The receiving end of sd_notify(3)."""

from __future__ import annotations

import socket
import threading
from pathlib import Path


class NotifySocket:
    """Binds `path` and keeps every notification in order."""

    def __init__(self, path: Path) -> None:
        self.notifications: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> NotifySocket:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RD)
        self._thread.join(10)
        self._socket.close()

    def _read(self) -> None:
        while datagram := self._socket.recv(4096):
            self.notifications.append(datagram.decode())

    def watchdog_count(self) -> int:
        return self.notifications.count("WATCHDOG=1")

    def statuses(self) -> list[str]:
        return [text.removeprefix("STATUS=") for text in self.notifications if text.startswith("STATUS=")]
